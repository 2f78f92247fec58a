// Defines how kernels read an operand of any strides as if it were row-major.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "backend/backend.h"

namespace lazuli::cpu {

/// An operand seen in the row-major order of the shape that it broadcasts to; neighbouring dims that one stride can express are merged.
struct StridedView {
  StridedView() = default;
  /// The operand's shape broadcasts to `space`.
  StridedView(const OperandSpec& operand, const Shape& space);
  /// `strides` has one entry for each dim of `space`.
  StridedView(const Shape& space, const Strides& strides);

  /// Element k lies at k.
  bool contiguous() const { return numel <= 1 || (rank == 1 && stride[0] == 1); }
  /// All elements are one.
  bool scalar() const { return rank == 0 || (rank == 1 && stride[0] == 0); }

  int rank = 0;
  int64_t numel = 1;
  int64_t size[kMaxRank] = {};
  int64_t stride[kMaxRank] = {};  ///< in elements
};

/// Elements first, first + 1, ... lie at offset, offset + stride, ... for `length` of them.
struct StridedRun {
  int64_t offset = 0;
  int64_t stride = 0;
  int64_t length = 0;
};
inline StridedRun run_at(const StridedView& view, int64_t first) {
  if (view.rank == 0) return {0, 0, view.numel - first};
  const int last = view.rank - 1;
  int64_t outer = first / view.size[last];
  const int64_t at = first - outer * view.size[last];
  int64_t offset = at * view.stride[last];
  for (int d = last - 1; d > 0; --d) {
    const int64_t next = outer / view.size[d];
    offset += (outer - next * view.size[d]) * view.stride[d];
    outer = next;
  }
  if (last > 0) offset += outer * view.stride[0];
  return {offset, view.stride[last], view.size[last] - at};
}

/// Copies elements [first, first + n) of `element_size` bytes (1, 2, 4 or 8) at `base` to `dst`.
void gather(const StridedView& view, const void* base, size_t element_size, int64_t first, int64_t n, void* dst);

/// The strides under which an operand is seen in `space`: 0 where it repeats.
Strides broadcast_strides(const OperandSpec& operand, const Shape& space);

inline const void* element_at(const void* base, int64_t index, size_t element_size) {
  return static_cast<const char*>(base) + index * static_cast<int64_t>(element_size);
}
inline void* element_at(void* base, int64_t index, size_t element_size) {
  return static_cast<char*>(base) + index * static_cast<int64_t>(element_size);
}

constexpr int64_t tasks_for(int64_t elements, int64_t chunk) { return (elements + chunk - 1) / chunk; }

}  // namespace lazuli::cpu
