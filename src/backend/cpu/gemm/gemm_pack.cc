// Packing of the operands of matrix products into panels of f32.
#include <algorithm>
#include <string>

#include "lazuli/error.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/gemm/gemm_pack.cc"
#include "backend/cpu/common/each_target.h"
#include "backend/cpu/gemm/gemm_simd.h"

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET != HWY_SCALAR
/// out[c * ldo + r] = in[r * ldi + c] for r < 4, c < width <= lanes.
template <class T>
HWY_INLINE void transpose_four(const T* in, int64_t ldi, int64_t width, float* out, int64_t ldo) {
  const F32 d32;
  const F32x4 d4;
  VF v[4];
  LAZULI_UNROLL
  for (int i = 0; i < 4; ++i) v[i] = width == kLanes ? load(in + i * ldi) : load_n(in + i * ldi, width);
  const VF l01 = hn::InterleaveLower(d32, v[0], v[1]), u01 = hn::InterleaveUpper(d32, v[0], v[1]);
  const VF l23 = hn::InterleaveLower(d32, v[2], v[3]), u23 = hn::InterleaveUpper(d32, v[2], v[3]);
  HWY_ALIGN float block[4][kLanes];
  hn::Store(lower_pairs(l01, l23), d32, block[0]);
  hn::Store(upper_pairs(l01, l23), d32, block[1]);
  hn::Store(lower_pairs(u01, u23), d32, block[2]);
  hn::Store(upper_pairs(u01, u23), d32, block[3]);
  if (width == kLanes) {
    LAZULI_UNROLL
    for (int c = 0; c < kLanes; ++c) hn::StoreU(hn::Load(d4, block[c % 4] + c / 4 * 4), d4, out + c * ldo);
  } else {
    for (int64_t c = 0; c < width; ++c) hn::StoreU(hn::Load(d4, block[c % 4] + c / 4 * 4), d4, out + c * ldo);
  }
}
#endif

/// out[c * ldo + r] = in[r * ldi + c] for r < rows, c < columns.
template <class T>
HWY_INLINE void transpose(const T* in, int64_t ldi, int64_t rows, int64_t columns, float* out, int64_t ldo) {
  // Blocks of columns outside: what is written stays in the first-level cache.
  for (int64_t at = 0; at < columns; at += kLanes) {
    const int64_t width = std::min<int64_t>(kLanes, columns - at);
    int64_t r = 0;
#if HWY_TARGET != HWY_SCALAR
    for (; r + 4 <= rows; r += 4) transpose_four(in + r * ldi + at, ldi, width, out + at * ldo + r, ldo);
#endif
    for (; r < rows; ++r) {
      for (int64_t c = at; c < at + width; ++c) out[c * ldo + r] = static_cast<float>(in[r * ldi + c]);
    }
  }
}

/// n values with f32 as the result.
template <class T>
HWY_INLINE void copy_row(const T* in, int64_t n, float* out) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(load(in + i), out + i);
  for (; i < n; ++i) out[i] = static_cast<float>(in[i]);
}

template <class T>
void pack_left(const MatrixRef& m, int64_t rows, int64_t k, int64_t height, float* panels) {
  const T* a = static_cast<const T*>(m.data);
  if (height == 1 && m.row == 1 && m.column != 1) {
    transpose(a, m.column, k, rows, panels, (k + kChunk - 1) / kChunk * kChunk);
    return;
  }
  for (int64_t i = 0; i < rows; i += height) {
    const int64_t h = std::min(height, rows - i);
    for (int64_t p = 0; p < k; p += kChunk) {
      const int64_t steps = std::min(kChunk, k - p);
      const T* from = a + i * m.row + p * m.column;
      if (m.column == 1) {
        for (int64_t r = 0; r < h; ++r) copy_row(from + r * m.row, steps, panels + r * kChunk);
      } else if (m.row == 1) {
        transpose(from, m.column, steps, h, panels, kChunk);
      } else {
        for (int64_t r = 0; r < h; ++r) {
          for (int64_t j = 0; j < steps; ++j) panels[r * kChunk + j] = static_cast<float>(from[r * m.row + j * m.column]);
        }
      }
      panels += h * kChunk;
    }
  }
}

template <class T>
void pack_right(const MatrixRef& m, int64_t k, int64_t columns, float* panel) {
  const T* b = static_cast<const T*>(m.data);
  if (columns < kPanel) std::fill_n(panel, k * kPanel, 0.0f);
  if (m.column == 1) {
    for (int64_t p = 0; p < k; ++p) copy_row(b + p * m.row, columns, panel + p * kPanel);
  } else if (m.row == 1) {
    transpose(b, m.column, columns, k, panel, kPanel);
  } else {
    for (int64_t p = 0; p < k; ++p) {
      for (int64_t j = 0; j < columns; ++j) panel[p * kPanel + j] = static_cast<float>(b[p * m.row + j * m.column]);
    }
  }
}

template <class T>
void fill(GemmKernels& set) {
  set.pack_left = pack_left<T>;
  set.pack_right = pack_right<T>;
}

void fill_packs(DType dtype, GemmKernels& set) {
  if (dtype == DType::f32) {
    fill<float>(set);
    set.transpose = [](const float* in, int64_t ldi, int64_t rows, int64_t columns, float* out, int64_t ldo) {
      transpose(in, ldi, rows, columns, out, ldo);
    };
  }
  if (dtype == DType::bf16) fill<bf16>(set);
  if (dtype == DType::f16) fill<f16>(set);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lazuli::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lazuli::cpu {

HWY_EXPORT(fill_packs);

void gemm_fill_packs(DType dtype, GemmKernels& set) { HWY_DYNAMIC_DISPATCH(fill_packs)(dtype, set); }

GemmKernels gemm_kernels(DType dtype) {
  if (dtype != DType::f32 && dtype != DType::bf16 && dtype != DType::f16) {
    throw DTypeError("matrix product: a float dtype of at most 32 bits is expected, got " + std::string(name_of(dtype)));
  }
  GemmKernels set{};
  if (dtype == DType::f32) gemm_fill_tiles_f32(set);
  if (dtype == DType::bf16) gemm_fill_tiles_bf16(set);
  if (dtype == DType::f16) gemm_fill_tiles_f16(set);
  gemm_fill_dots(dtype, set);
  gemm_fill_packs(dtype, set);
  return set;
}

}  // namespace lazuli::cpu
#endif
