// Declares fine_tune, the loop around a Trainer: batches, reports, validation, saves, and an orderly end.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lazuli/train.h"
#include "train/batches.h"

namespace lazuli {

struct FineTuneOptions {
  std::string folder;  ///< where adapter, state and metrics go
  TrainConfig train;
  int64_t batch_size = 4;
  int64_t steps_per_report = 10;
  int64_t steps_per_eval = 200;
  int64_t val_batches = 25;  ///< -1: all
  int64_t save_every = 100;
  bool resume = false;  ///< go on from the state in `folder`
  bool quiet = false;
  bool perplexity = true;  ///< show exp(loss) too
};

/// So many steps in a row without a finite loss end a training that skips such steps.
inline constexpr int64_t kMostSkipped = 10;

struct FineTuneReport {
  int64_t iterations = 0;                                     ///< done in all, earlier runs included
  int64_t skipped = 0;                                        ///< of those of this run: without a finite loss, so without an update
  bool interrupted = false;                                   ///< ended by a signal before all iterations were done
  std::optional<double> train_loss_before, train_loss_after;  ///< of the first and of the last report
  std::optional<double> val_loss_before, val_loss_after;
  double tokens_per_second = 0;  ///< of the training steps alone
  int64_t trained_tokens = 0;    ///< in this run
  double seconds = 0;
  uint64_t peak_memory_bytes = 0;
  int64_t recomputed_layers = 0;  ///< in the backward pass, to take less memory
};

/// The names of a training's files in its folder.
std::string training_state_path(const std::string& folder);
std::string metrics_path(const std::string& folder);

/// Trains to the last iteration or until a signal comes. `validation` may be null. The folder holds a complete adapter from the start on.
/// Throws ValueError when a loss is not finite and such steps are not skipped, or kMostSkipped were skipped in a row; the folder then holds
/// the adapter of the last save.
FineTuneReport fine_tune(Trainer& trainer, const Examples& train, const Examples* validation, const FineTuneOptions& options);

}  // namespace lazuli
