// Defines what tests of single ops call them with: attributes by number, and operands in row-major order.
#pragma once

#include <utility>
#include <vector>

#include "backend/backend.h"

namespace lazuli {

inline Attrs attrs(int64_t i0, int64_t i1 = 0, int64_t i2 = 0, std::vector<int64_t> list = {}) {
  Attrs a;
  a.i = {i0, i1, i2, 0};
  a.list = IntList(std::move(list));
  return a;
}

inline OperandSpec row_major(DType dtype, const Shape& shape) { return {dtype, shape, contiguous_strides(shape), true, true}; }

}  // namespace lazuli
