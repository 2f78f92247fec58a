// Defines the numbers at which kernels of the cpu backend take another way or cut their work, as constants and as a list.
#pragma once

#include <cstdint>
#include <iterator>
#include <span>

#include "backend/threshold.h"

namespace lazuli::cpu {

namespace threshold {

#define LAZULI_THRESHOLD(group, name, value, of) \
  namespace group {                              \
  inline constexpr int64_t name = value;         \
  }
#include "backend/cpu/common/thresholds.def"
#undef LAZULI_THRESHOLD

}  // namespace threshold

/// In the order of the file.
inline std::span<const Threshold> thresholds() {
  static constexpr Threshold kAll[] = {
#define LAZULI_THRESHOLD(group, name, value, of) {#group, #name, threshold::group::name, of},
#include "backend/cpu/common/thresholds.def"
#undef LAZULI_THRESHOLD
  };
  return kAll;
}

}  // namespace lazuli::cpu
