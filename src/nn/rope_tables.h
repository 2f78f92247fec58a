// Defines RopeTables: the cosines and sines of rotary position embeddings.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "io/model_config.h"
#include "lazuli/lazy_tensor.h"

namespace lazuli {

/// Angles per position for each pair of a head, in the f32 arithmetic of Hugging Face's transformers: theta^(-2i/size), stretched as
/// `scaling` says; `beyond`: for a text longer than the original context. Throws ValueError for an odd head size.
std::vector<float> rope_frequencies(int64_t head_size, double theta, const RopeScaling& scaling, bool beyond = false);

/// Tables of the positions asked for so far; any threads may share one.
class RopeTables {
 public:
  explicit RopeTables(const RopeSpec& spec);
  struct Pair {
    LazyTensor cos, sin;  ///< (positions, size / 2), f32
  };
  struct Rows {
    Pair keys, queries;  ///< the same tables unless queries grow with the position
  };
  /// Tables of at least `positions` rows. Their number is a power of two, so that few different plans are made. With longrope a text that
  /// may have more positions than the original context gets the long factors from its first one on.
  Rows rows(int64_t positions) const;

 private:
  struct Tables {
    std::vector<float> frequencies;
    Rows rows;
  };
  /// Tables of `count` positions, for queries with their growth.
  Pair tables(const std::vector<float>& frequencies, int64_t count, bool of_queries) const;
  /// What a query at `position` is multiplied by.
  float growth(int64_t position) const;
  mutable std::mutex mutex_;
  mutable Tables within_, beyond_;
  int64_t original_ = 0;  ///< positions from which on the others count; 0: never
  RopeSpec spec_;
};

}  // namespace lazuli
