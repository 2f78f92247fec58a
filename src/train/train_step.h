// Declares the recording of one training step: loss, gradients, clipping and AdamW as one graph.
#pragma once

#include <span>
#include <vector>

#include "lazuli/adapter.h"
#include "lazuli/model.h"
#include "lazuli/train.h"

namespace lazuli {

/// The order of a training step's arguments: n factors, n first moments, n second moments, then these.
struct StepArguments {
  size_t n;
  size_t inputs = 1;  ///< tensors of a batch
  size_t batch() const { return 3 * n; }
  size_t rate() const { return batch() + inputs; }      ///< rank-0 f32
  size_t step() const { return batch() + inputs + 1; }  ///< rank-0 i32, from 1
  size_t seed() const { return batch() + inputs + 2; }  ///< rank-0 i64
  size_t count() const { return batch() + inputs + 3; }
};
/// The order of its results: loss and gradient norm, then new factors, first moments and second moments.
inline constexpr size_t kStepScalars = 2;

std::vector<LazyTensor> record_train_step(const Objective& objective, const Adapter& adapter, const TrainConfig& config,
                                          std::span<const LazyTensor> args);

}  // namespace lazuli
