// Defines what the row functions of the norms take.
#pragma once

#include <cstdint>

namespace lazuli::cpu {

struct NormRow {
  const float* x;
  const float* weight;
  const float* bias;
  const float* g;
  float* out;
  int64_t n;
  int64_t size;  ///< of one channel, of group norm
  float eps;
};
using NormFn = void (*)(const NormRow& row);

}  // namespace lazuli::cpu
