// Implements the strided copy: merged dimensions, then rows by memcpy, tiles for transposes, or single elements.
#include "tensor/strided_copy.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace lazuli {

namespace {

/// Drops dimensions of one element and merges neighbours that one stride walks through.
void merge_dims(const Shape& shape, const Strides& strides, Shape& out_shape, Strides& out_strides) {
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == 1) continue;
    const int last = out_shape.rank() - 1;
    if (last >= 0 && out_strides[last] == strides[i] * shape[i]) {
      out_shape[last] *= shape[i];
      out_strides[last] = strides[i];
    } else {
      out_shape.push_back(shape[i]);
      out_strides.push_back(strides[i]);
    }
  }
}

template <class T>
void copy_row(T* dst, const T* src, int64_t count, int64_t stride) {
  if (stride == 1) {
    std::memcpy(dst, src, static_cast<size_t>(count) * sizeof(T));
  } else if (stride == 0) {
    std::fill_n(dst, count, *src);
  } else {
    for (int64_t i = 0; i < count; ++i) dst[i] = src[i * stride];
  }
}

/// Two dimensions. Tiles keep both sides' cache lines in L1 when the columns lie far apart.
template <class T>
void copy_matrix(T* dst, const T* src, const int64_t (&dims)[2], const int64_t (&strides)[2]) {
  constexpr int64_t tile = 32;
  if (strides[1] == 1 || strides[1] == 0 || dims[0] < 4) {
    for (int64_t r = 0; r < dims[0]; ++r) copy_row(dst + r * dims[1], src + r * strides[0], dims[1], strides[1]);
    return;
  }
  for (int64_t r0 = 0; r0 < dims[0]; r0 += tile) {
    const int64_t r1 = std::min(r0 + tile, dims[0]);
    for (int64_t c0 = 0; c0 < dims[1]; c0 += tile) {
      const int64_t width = std::min(tile, dims[1] - c0);
      for (int64_t r = r0; r < r1; ++r) {
        copy_row(dst + r * dims[1] + c0, src + r * strides[0] + c0 * strides[1], width, strides[1]);
      }
    }
  }
}

template <class T>
void copy_typed(T* dst, const T* src, const Shape& shape, const Strides& strides) {
  const int rank = shape.rank();
  if (rank == 0) {
    *dst = *src;
    return;
  }
  if (rank == 1) {
    copy_row(dst, src, shape[0], strides[0]);
    return;
  }
  const int outer = rank - 2;
  const int64_t dims[2] = {shape[outer], shape[outer + 1]};
  const int64_t steps[2] = {strides[outer], strides[outer + 1]};
  int64_t index[kMaxRank] = {};
  int64_t offset = 0;
  while (true) {
    copy_matrix(dst, src + offset, dims, steps);
    dst += dims[0] * dims[1];
    int axis = outer - 1;
    for (; axis >= 0; --axis) {
      offset += strides[axis];
      if (++index[axis] < shape[axis]) break;
      offset -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
    if (axis < 0) return;
  }
}

}  // namespace

void copy_strided(void* dst, const void* src, size_t element_size, const Shape& shape, const Strides& strides) {
  if (shape.numel() == 0) return;
  Shape merged;
  Strides steps;
  merge_dims(shape, strides, merged, steps);
  switch (element_size) {
    case 1:
      return copy_typed(static_cast<uint8_t*>(dst), static_cast<const uint8_t*>(src), merged, steps);
    case 2:
      return copy_typed(static_cast<uint16_t*>(dst), static_cast<const uint16_t*>(src), merged, steps);
    case 4:
      return copy_typed(static_cast<uint32_t*>(dst), static_cast<const uint32_t*>(src), merged, steps);
    default:
      return copy_typed(static_cast<uint64_t*>(dst), static_cast<const uint64_t*>(src), merged, steps);
  }
}

}  // namespace lazuli
