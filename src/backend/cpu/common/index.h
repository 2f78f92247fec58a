// Defines how kernels read indices and offsets, which are i32 or i64 and are checked at run time.
#pragma once

#include <string>

#include "backend/backend.h"
#include "lazuli/error.h"

namespace lazuli::cpu {

[[noreturn]] inline void fail_index(Op op, const char* what, int64_t index, int64_t size) {
  throw ValueError("[" + std::string(name_of(op)) + "] " + what + " " + std::to_string(index) + " is out of range for size " +
                   std::to_string(size));
}

/// Element k of row-major i32 or i64 data.
inline int64_t integer_at(const void* p, DType dtype, int64_t k = 0) {
  return dtype == DType::i64 ? static_cast<const int64_t*>(p)[k] : static_cast<const int32_t*>(p)[k];
}

/// Row-major indices into an axis of `size` elements.
struct Indices {
  Op op;
  DType dtype;
  int64_t size;
  /// Throws ValueError when index k is outside the axis.
  int64_t at(const void* data, int64_t k) const {
    const int64_t index = integer_at(data, dtype, k);
    if (index < 0 || index >= size) fail_index(op, "index", index, size);
    return index;
  }
};

/// A shape around an axis: outer * count * inner elements, row-major.
struct AxisSplit {
  AxisSplit(const Shape& shape, int64_t axis) {
    for (int i = 0; i < shape.rank(); ++i) {
      if (i < axis) outer *= shape[i];
      if (i == axis) count = shape[i];
      if (i > axis) inner *= shape[i];
    }
  }
  int64_t outer = 1, count = 1, inner = 1;
};

}  // namespace lazuli::cpu
