// Defines RopeTables: the cosines and sines of rotary position embeddings.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "io/model_config.h"
#include "lazuli/lazy_tensor.h"

namespace lazuli {

/// Angles per position for each pair of a head, in the f32 arithmetic of Hugging Face's transformers: theta^(-2i/size), stretched as
/// `scaling` says. Throws ValueError for an odd head size.
std::vector<float> rope_frequencies(int64_t head_size, double theta, const RopeScaling& scaling);

/// Tables of the positions asked for so far; any threads may share one.
class RopeTables {
 public:
  RopeTables(int64_t head_size, double theta, const RopeScaling& scaling) : frequencies_(rope_frequencies(head_size, theta, scaling)) {}
  struct Pair {
    LazyTensor cos, sin;  ///< (positions, head_size / 2), f32
  };
  /// Tables of at least `positions` rows. Their number is a power of two, so that few different plans are made.
  Pair rows(int64_t positions) const;

 private:
  std::vector<float> frequencies_;
  mutable std::mutex mutex_;
  mutable Pair tables_;
};

}  // namespace lazuli
