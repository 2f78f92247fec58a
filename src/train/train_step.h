// Declares the recording of one training step: loss, gradients, clipping and AdamW as one graph.
#pragma once

#include <span>
#include <vector>

#include "lazuli/adapter.h"
#include "lazuli/model.h"
#include "lazuli/train.h"

namespace lazuli {

/// Mean cross entropy of the next tokens, a rank-0 f32. ids (batch, tokens + 1); `seed` is not defined where nothing is dropped.
LazyTensor next_token_loss(const LanguageModel& model, const Adapter& adapter, std::span<const LazyTensor> parameters,
                           const LazyTensor& ids, const LazyTensor& seed);

/// The order of a training step's arguments: n factors, n first moments, n second moments, then these.
struct StepArguments {
  size_t n;
  size_t ids() const { return 3 * n; }
  size_t rate() const { return 3 * n + 1; }  ///< rank-0 f32
  size_t step() const { return 3 * n + 2; }  ///< rank-0 i32, from 1
  size_t seed() const { return 3 * n + 3; }  ///< rank-0 i64
  size_t count() const { return 3 * n + 4; }
};
/// The order of its results: loss and gradient norm, then new factors, first moments and second moments.
inline constexpr size_t kStepScalars = 2;

std::vector<LazyTensor> record_train_step(const LanguageModel& model, const Adapter& adapter, const TrainConfig& config,
                                          std::span<const LazyTensor> args);

}  // namespace lazuli
