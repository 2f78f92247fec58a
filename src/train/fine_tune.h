// Declares fine_tune, the loop around a Trainer: batches, reports, validation, saves, and an orderly end.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/output_folder.h"
#include "lazuli/train.h"
#include "train/batches.h"

namespace lazuli {

struct FineTuneOptions {
  TrainConfig train;
  int64_t batch_size = 4;
  int64_t steps_per_report = 10;
  int64_t steps_per_eval = 200;
  int64_t val_batches = 25;  ///< -1: all
  int64_t save_every = 100;
  bool resume = false;                            ///< go on from the state in the folder
  bool overwrite = false;                         ///< the folder's adapter stays until this one is saved after its first steps
  std::map<std::string, std::string> notes = {};  ///< metadata of the state
  bool quiet = false;
  bool perplexity = true;  ///< show exp(loss) too
};

/// So many steps in a row without a finite loss end a training that skips such steps.
inline constexpr int64_t kMostSkipped = 10;

struct FineTuneReport {
  int64_t iterations = 0;                   ///< done in all, earlier runs included
  int64_t skipped = 0;                      ///< of those of this run: without a finite loss, so without an update
  bool interrupted = false;                 ///< ended by a signal before all iterations were done
  bool saved = true;                        ///< whether the folder holds this training's adapter
  std::optional<double> train_loss_before;  ///< of the first step's batch, before this run changed anything
  std::optional<double> train_loss_after;   ///< mean of the last report's steps, each before its update
  int64_t train_loss_after_steps = 0;       ///< how many steps that were
  std::optional<double> val_loss_before, val_loss_after;
  double tokens_per_second = 0;  ///< of the training steps alone
  int64_t trained_tokens = 0;    ///< in this run
  double seconds = 0;
  uint64_t peak_memory_bytes = 0;
  int64_t recomputed_layers = 0;  ///< in the backward pass, to take less memory
};

/// The names of a training's files in its folder. Without adapter_config.json, the last one, nothing takes the folder for an adapter.
inline constexpr const char* kStateFile = "training_state.safetensors";
inline constexpr const char* kMetricsFile = "metrics.jsonl";
inline constexpr const char* kCurvesFile = "loss.svg";
inline constexpr const char* kFactorsFile = "adapter_model.safetensors";
inline constexpr const char* kAdapterFile = "adapter_config.json";
/// All of them.
std::vector<std::string> training_files();

/// Trains to the last iteration or until a signal comes. `validation` may be null. `folder` has the names of training_files. An empty one
/// holds a complete adapter from the start on; with `overwrite` nothing in it changes before the first save. Throws ValueError when a loss
/// is not finite and such steps are not skipped, or kMostSkipped were skipped in a row; the folder then holds the adapter of the last save.
FineTuneReport fine_tune(Trainer& trainer, const Examples& train, const Examples* validation, OutputFolder& folder,
                         const FineTuneOptions& options);

}  // namespace lazuli
