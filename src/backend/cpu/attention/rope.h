// Defines the vector loop of rotary position embedding over one row.
#pragma once

#include <cstdint>

namespace lazuli::cpu {

/// Pairs (i, i + half) of a row rotated by the angle whose cosine and sine are given; `back` rotates the other way.
struct RopeRow {
  const void* x;
  void* out;
  const float* cos;
  const float* sin;
  int64_t half;
  bool back;
};
using RotateFn = void (*)(const RopeRow& row);

}  // namespace lazuli::cpu
