// Defines the dtypes that stand for elements moved by size, and when a kernel must count in 64 bits.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "lazuli/dtype.h"

namespace lazuli::cuda {

/// A dtype of the same size: one text moves f32 and i32, bf16 and f16.
constexpr DType raw_dtype(DType t) {
  switch (size_of(t)) {
    case 1:
      return DType::u8;
    case 2:
      return DType::f16;
    case 4:
      return DType::i32;
    default:
      return DType::i64;
  }
}

/// Whether a loop over `count` elements needs 64-bit numbers: dividing those is slow.
constexpr bool is_wide(int64_t count) { return count > int64_t{1} << 30; }

/// Elements of a 16-byte pack, or fewer so that they divide `count` too.
inline int64_t pack_of(int64_t count, size_t element) { return std::gcd(count, static_cast<int64_t>(16 / element)); }

}  // namespace lazuli::cuda
