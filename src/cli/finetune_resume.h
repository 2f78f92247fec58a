// Declares what `finetune --resume` does with the options: which ones a training keeps, and which ones may change on the way.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/output_folder.h"
#include "cli/command.h"
#include "cli/finetune_flags.h"
#include "cli/finetune_task.h"

namespace lazuli::cli {

/// Options by name, as text.
using Settings = std::map<std::string, std::string>;

/// What a training was begun with.
struct TrainingNotes {
  Settings options;
  std::string model, train, validation;  ///< fingerprints
  bool complete = true;                  ///< false: of a version that did not keep them; only what adapter_config.json says is there
  int64_t steps = 0;                     ///< done so far
};

/// What becomes of an option's value when a training goes on.
enum class OnResume {
  kept,     ///< that of the training; another one is refused
  changes,  ///< that of the training; another one holds from here on, which is said
  here      ///< that of this command line
};
OnResume on_resume(const std::string& option);

/// Whether the folder can be begun in, or gone on in, as the flags say. Throws IoError with what to do instead.
void check_folder(const OutputFolder& folder, const FinetuneFlags& flags);

/// Of the folder's training_state.safetensors. Throws IoError and FormatError.
TrainingNotes read_notes(const OutputFolder& folder);

/// Gives options that do not stand in the command line the values of `notes`. Throws ValueError naming each one that stands there and may
/// not change. Returns what changes, in words.
std::vector<std::string> restore_options(const TrainingNotes& notes, FinetuneFlags& flags, Common& common, const OutputFolder& folder);

/// What is to be written beside the state: the options as they are, and fingerprints of the model and the data.
TrainingNotes notes_of(FinetuneFlags& flags, Common& common, const FinetuneTask& task);
std::map<std::string, std::string> as_metadata(const TrainingNotes& notes);

/// Throws ValueError when model or data are not those that the training was begun with. Returns what else differs, in words.
std::vector<std::string> compare_inputs(const TrainingNotes& before, const TrainingNotes& now, const OutputFolder& folder);

/// Throws ValueError when `targets` choose other layers than the adapter's, FormatError when its configuration was changed.
void check_adapter(const TrainingNotes& notes, const Adapter& adapter, const std::vector<std::string>& targets, const FinetuneTask& task,
                   const OutputFolder& folder);

}  // namespace lazuli::cli
