#include "cli/finetune_resume.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <type_traits>
#include <utility>

#include "base/json.h"
#include "base/json_writer.h"
#include "cli/option_text.h"
#include "lazuli/safetensors.h"
#include "nn/adapter_config.h"
#include "train/fine_tune.h"
#include "train/fingerprint.h"

namespace lazuli::cli {
namespace {

constexpr const char* kNotesKey = "lazuli_training";
constexpr const char* kStepKey = "lazuli_step";
constexpr const char* kTargets = "--target-modules";

/// The options that a training has a say in: its own and those of every command.
class TrainingOptions {
 public:
  TrainingOptions(FinetuneFlags& flags, Common& common)
      : common_(common), dtype_(name_of(common.dtype)), device_(to_string(common.device)) {
    options_ = finetune_options(flags);
    options_.push_back({.name = "--seed", .target = &common.seed, .help = ""});
    options_.push_back({.name = "--dtype", .target = &dtype_, .help = ""});
    options_.push_back({.name = "--device", .target = &device_, .help = ""});
  }
  TrainingOptions(const TrainingOptions&) = delete;
  TrainingOptions& operator=(const TrainingOptions&) = delete;

  std::vector<Option>& all() { return options_; }
  /// What was given to `--dtype` in text.
  void finish() {
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
      if (dtype_ == name_of(dtype)) common_.dtype = dtype;
    }
  }

 private:
  Common& common_;
  std::string dtype_, device_;
  std::vector<Option> options_;
};

std::string text_of(const Option& option) {
  if (const bool* const* flag = std::get_if<bool*>(&option.target)) return **flag ? "true" : "false";
  Option optional = option;
  optional.required = false;
  return default_text(optional);
}

/// False where the text is no such value.
bool set_text(const Option& option, const std::string& text) {
  return std::visit(
      [&](auto* target) {
        using T = std::remove_pointer_t<decltype(target)>;
        if constexpr (std::is_same_v<T, std::string>) {
          *target = text;
          return option.choices.empty() || std::find(option.choices.begin(), option.choices.end(), text) != option.choices.end();
        } else if constexpr (std::is_same_v<T, bool>) {
          *target = text == "true";
          return text == "true" || text == "false";
        } else if constexpr (std::is_arithmetic_v<T>) {
          const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *target);
          const auto value = static_cast<double>(*target);
          return error == std::errc() && end == text.data() + text.size() && value >= option.low && value <= option.high;
        } else {
          return false;
        }
      },
      option.target);
}

std::string in_folder(const OutputFolder& folder, const char* name) { return folder.path() + "/" + name; }

/// What is known of an adapter whose training kept no notes.
Settings settings_of(const LoRAConfig& config) {
  Settings s = {{"--lora-rank", std::to_string(config.rank)},
                {"--lora-alpha", fmt::format("{}", config.alpha)},
                {"--lora-dropout", fmt::format("{}", config.dropout)},
                {"--task", config.task_type == "FEATURE_EXTRACTION" ? "similarity" : "text"}};
  if (config.target_pattern.empty()) s[kTargets] = fmt::format("{}", fmt::join(config.target_modules, ","));
  return s;
}

TrainingNotes parse_notes(const std::string& text, const std::string& path) {
  const JsonDocument document = JsonDocument::parse(text, path + ": " + kNotesKey);
  const JsonValue root = document.root();
  TrainingNotes notes;
  for (const JsonMember& option : root.get("options").as_object()) notes.options[std::string(option.key)] = option.value.as_string();
  notes.model = root.get("model").as_string();
  notes.train = root.get("train").as_string();
  notes.validation = root.get("validation").as_string();
  return notes;
}

}  // namespace

OnResume on_resume(const std::string& option) {
  static constexpr std::array kChanges = {"--iters",          "--learning-rate", "--lr-schedule",  "--warmup-steps",
                                          "--weight-decay",   "--max-grad-norm", "--on-nonfinite", "--steps-per-report",
                                          "--steps-per-eval", "--val-batches",   "--save-every",   "--deterministic"};
  // Model and data are compared by what they hold, layers by which ones they are.
  static constexpr std::array kHere = {"--model", "--data", "--adapter-path", "--resume", "--overwrite", "--device", kTargets};
  const auto in = [&](const auto& names) { return std::find(names.begin(), names.end(), option) != names.end(); };
  return in(kChanges) ? OnResume::changes : in(kHere) ? OnResume::here : OnResume::kept;
}

void check_folder(const OutputFolder& folder, const FinetuneFlags& flags) {
  const std::vector<std::string> files = training_files();
  const bool adapter = folder.has(kAdapterFile) || folder.has(kFactorsFile);
  const bool begun = std::any_of(files.begin(), files.end(), [&](const std::string& name) { return folder.has(name); });
  if (flags.resume) {
    if (folder.has(kAdapterFile) && folder.has(kStateFile)) return;
    throw IoError(fmt::format("{}: cannot go on: there is no {}; without --resume{} a training begins anew", folder.path(),
                              folder.has(kAdapterFile) ? kStateFile : kAdapterFile, adapter ? " and with --overwrite" : ""));
  }
  const std::vector<std::string> others = folder.others();
  if (!begun && !others.empty()) {
    throw IoError(fmt::format("{}: a new or empty folder, or that of an adapter, is expected; it holds '{}'{}", folder.path(),
                              others.front(), others.size() > 1 ? fmt::format(" and {} more", others.size() - 1) : ""));
  }
  if (begun && !flags.overwrite) {
    throw IoError(fmt::format("{}: holds {} already; {}--overwrite trains a new one in its place, or give another --adapter-path",
                              folder.path(), adapter ? "an adapter" : "files of a training",
                              folder.has(kStateFile) && folder.has(kAdapterFile) ? "--resume goes on with it, " : ""));
  }
}

TrainingNotes read_notes(const OutputFolder& folder) {
  const std::string path = in_folder(folder, kStateFile);
  const SafetensorsFile file = SafetensorsFile::open(path);
  const auto text = file.metadata().find(kNotesKey), step = file.metadata().find(kStepKey);
  TrainingNotes notes;
  if (text != file.metadata().end()) {
    notes = parse_notes(text->second, path);
  } else {
    notes.options = settings_of(read_adapter_config(in_folder(folder, kAdapterFile)));
    notes.complete = false;
  }
  // What is no number is refused where the state is loaded.
  if (step != file.metadata().end()) {
    std::from_chars(step->second.data(), step->second.data() + step->second.size(), notes.steps);
  }
  return notes;
}

std::vector<std::string> restore_options(const TrainingNotes& notes, FinetuneFlags& flags, Common& common, const OutputFolder& folder) {
  TrainingOptions options(flags, common);
  std::vector<std::string> refused, changed;
  for (const Option& option : options.all()) {
    const auto stored = notes.options.find(option.name);
    if (stored == notes.options.end()) continue;
    const OnResume rule = on_resume(option.name);
    const std::string now = text_of(option);
    const bool differs = now != stored->second;
    if (common.has(option.name) || option.name == "--device") {
      if (option.name == kTargets || !differs) continue;
      if (rule == OnResume::kept) refused.push_back(fmt::format("{} {} (given: {})", option.name, stored->second, now));
      if (rule != OnResume::kept) changed.push_back(fmt::format("{} {} (before: {})", option.name, now, stored->second));
    } else if (!set_text(option, stored->second)) {
      throw FormatError(fmt::format("{}: {}: a value of {} is expected, got '{}'", in_folder(folder, kStateFile), kNotesKey, option.name,
                                    stored->second));
    }
  }
  options.finish();
  if (!refused.empty()) {
    throw ValueError(
        fmt::format("{}: the training that --resume goes on with has {}; leave {} out, or train a new adapter with --overwrite",
                    folder.path(), fmt::join(refused, ", "), refused.size() == 1 ? "the option" : "these options"));
  }
  if (flags.iters < notes.steps) {
    throw ValueError(fmt::format("{}: --iters {}: {} iterations are done already, so at least {} is expected", folder.path(), flags.iters,
                                 notes.steps, notes.steps));
  }
  return changed;
}

TrainingNotes notes_of(FinetuneFlags& flags, Common& common, const FinetuneTask& task) {
  TrainingOptions options(flags, common);
  TrainingNotes notes;
  for (const Option& option : options.all()) {
    if (on_resume(option.name) != OnResume::here || option.name == kTargets || option.name == "--device") {
      notes.options[option.name] = text_of(option);
    }
  }
  notes.model = fingerprint_of_model(flags.model);
  notes.train = fingerprint_of(*task.train);
  if (task.validation) notes.validation = fingerprint_of(*task.validation);
  return notes;
}

std::map<std::string, std::string> as_metadata(const TrainingNotes& notes) {
  JsonWriter w;
  w.begin_object().key("options").begin_object();
  for (const auto& [name, value] : notes.options) w.field(name, value);
  w.end_object().field("model", notes.model).field("train", notes.train).field("validation", notes.validation).end_object();
  return {{kNotesKey, w.text()}};
}

std::vector<std::string> compare_inputs(const TrainingNotes& before, const TrainingNotes& now, const OutputFolder& folder) {
  if (!before.complete) return {};
  const auto refuse = [&](const char* option, const char* what) {
    throw ValueError(
        fmt::format("{}: {}: not the {} that the training was begun with; --resume goes on with those alone, --overwrite "
                    "trains a new adapter",
                    folder.path(), option, what));
  };
  if (before.model != now.model) refuse("--model", "configuration and weights");
  if (before.train != now.train) refuse("--data", "data");
  if (before.validation != now.validation) return {"--data has other texts for validation than before: their losses do not compare"};
  return {};
}

void check_adapter(const TrainingNotes& notes, const Adapter& adapter, const std::vector<std::string>& targets, const FinetuneTask& task,
                   const OutputFolder& folder) {
  for (const auto& [name, value] : settings_of(adapter.config())) {
    const auto stored = notes.options.find(name);
    if (name == kTargets || stored == notes.options.end() || stored->second == value) continue;
    throw FormatError(fmt::format("{}: says {} {}, but the training was begun with {}; it can only go on with that",
                                  in_folder(folder, kAdapterFile), name, value, stored->second));
  }
  if (targets.empty()) return;
  LoRAConfig wanted;
  wanted.target_modules = targets;
  std::vector<size_t> layers;
  for (const Adapter::Pair& pair : adapter.pairs()) layers.push_back(pair.layer);
  if (select_targets(wanted, task.linears) == layers) return;
  throw ValueError(
      fmt::format("{}: {} {}: not the layers that the training was begun with; leave the option out, or train a new adapter "
                  "with --overwrite",
                  folder.path(), kTargets, fmt::join(targets, ",")));
}

}  // namespace lazuli::cli
