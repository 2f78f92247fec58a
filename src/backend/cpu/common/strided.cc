#include "backend/cpu/common/strided.h"

#include <cstring>

namespace lazuli::cpu {

Strides broadcast_strides(const OperandSpec& operand, const Shape& space) {
  Strides strides;
  strides.resize(space.rank());
  const int missing = space.rank() - operand.shape.rank();
  for (int d = 0; d < space.rank(); ++d) {
    strides[d] = d < missing || operand.shape[d - missing] == 1 ? 0 : operand.strides[d - missing];
  }
  return strides;
}

StridedView::StridedView(const OperandSpec& operand, const Shape& space) : StridedView(space, broadcast_strides(operand, space)) {}

StridedView::StridedView(const Shape& space, const Strides& strides) : numel(space.numel()) {
  for (int d = 0; d < space.rank(); ++d) {
    if (space[d] == 1) continue;
    if (rank > 0 && stride[rank - 1] == strides[d] * space[d]) {
      size[rank - 1] *= space[d];
      stride[rank - 1] = strides[d];
    } else {
      size[rank] = space[d];
      stride[rank++] = strides[d];
    }
  }
}

namespace {

template <class T>
void gather_elements(const StridedView& view, const T* base, int64_t first, int64_t n, T* dst) {
  while (n > 0) {
    const StridedRun run = run_at(view, first);
    const int64_t m = std::min(n, run.length);
    const T* src = base + run.offset;
    if (run.stride == 1) {
      std::memcpy(dst, src, static_cast<size_t>(m) * sizeof(T));
    } else if (run.stride == 0) {
      std::fill_n(dst, m, *src);
    } else {
      for (int64_t i = 0; i < m; ++i) dst[i] = src[i * run.stride];
    }
    dst += m;
    first += m;
    n -= m;
  }
}

}  // namespace

void gather(const StridedView& view, const void* base, size_t element_size, int64_t first, int64_t n, void* dst) {
  auto as = [&](auto tag) {
    using T = decltype(tag);
    gather_elements(view, static_cast<const T*>(base), first, n, static_cast<T*>(dst));
  };
  switch (element_size) {
    case 1:
      return as(uint8_t{});
    case 2:
      return as(uint16_t{});
    case 4:
      return as(uint32_t{});
    default:
      return as(uint64_t{});
  }
}

}  // namespace lazuli::cpu
