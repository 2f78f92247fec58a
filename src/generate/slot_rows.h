// Defines how the row of one slot is taken out of a tensor of all slots, and put back.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "lazuli/ops.h"
#include "lazuli/tensor.h"

namespace lazuli {

/// Row `slot` (rank-0 i32) of x, with axis 0 of size 1.
inline LazyTensor row_of(const LazyTensor& x, const LazyTensor& slot) { return slice_at(x, slot, 1, 0); }

/// x with that row, or the front of it, replaced; x is donated.
inline LazyTensor with_row(LazyTensor&& x, const LazyTensor& row, const LazyTensor& slot) {
  const std::vector<int64_t> starts(static_cast<size_t>(x.rank()), 0);
  return slice_update(std::move(x), row, starts, {}, slot, 0);
}

/// A rank-0 i32.
inline Tensor integer_tensor(int64_t value, Device device) {
  return Tensor::from_vector(std::vector<int32_t>{static_cast<int32_t>(value)}, Shape{}, device);
}

}  // namespace lazuli
