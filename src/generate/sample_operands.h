// Defines SampleOperands, the rules of a choice of tokens as operands of the op sample.
#pragma once

#include <array>
#include <cstdint>

#include "lazuli/generate.h"

namespace lazuli {

/// See the op sample in ops.def.
struct SampleOperands {
  std::array<float, 4> rules;
  std::array<int64_t, 4> counts;
};

/// `first`: the length at which the first draw is made.
SampleOperands operands_of(const SamplerOptions& options, int64_t first);

}  // namespace lazuli
