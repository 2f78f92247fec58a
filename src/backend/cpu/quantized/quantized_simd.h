// Defines the rounding of activations to integers that products with quantised weights share, compiled once a target.
#if defined(LAZULI_BACKEND_CPU_QUANTIZED_QUANTIZED_SIMD_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LAZULI_BACKEND_CPU_QUANTIZED_QUANTIZED_SIMD_H_
#undef LAZULI_BACKEND_CPU_QUANTIZED_QUANTIZED_SIMD_H_
#else
#define LAZULI_BACKEND_CPU_QUANTIZED_QUANTIZED_SIMD_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "backend/cpu/common/simd.h"

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu {
namespace HWY_NAMESPACE {

template <class T>
HWY_INLINE VF load_some(const T* x, int64_t n) {
  return n >= lanes() ? load(x) : load_n(x, n);
}

/// The scale that brings n values to -127..127; NaN where one is not finite.
template <class T>
HWY_INLINE float scale_of(const T* x, int64_t n) {
  // The order of the magnitudes' bits is theirs, and NaN comes last.
  VI most = hn::Zero(I32());
  for (int64_t i = 0; i < n; i += lanes()) most = hn::Max(most, hn::BitCast(I32(), hn::Abs(load_some(x + i, n - i))));
  const int32_t bits = hn::GetLane(hn::MaxOfLanes(I32(), most));
  if (bits >= 0x7f800000) return std::numeric_limits<float>::quiet_NaN();
  float largest = 0;
  std::memcpy(&largest, &bits, sizeof(largest));
  return largest / 127.0F;
}

/// Integers nearest to x / scale.
template <class T>
HWY_INLINE void round_values(const T* x, int64_t n, float scale, int8_t* out) {
  // Below this the reciprocal would overflow: such values are as good as zero.
  if (!(scale > 1e-37F)) {
    std::fill_n(out, n, int8_t{0});
    return;
  }
  const hn::Rebind<int8_t, I32> d8;
  const VF factor = splat(1.0F / scale), most = splat(127.0F), least = splat(-127.0F);
  for (int64_t i = 0; i < n; i += lanes()) {
    const VF v = hn::Min(hn::Max(hn::Mul(load_some(x + i, n - i), factor), least), most);
    const auto bytes = hn::DemoteTo(d8, hn::NearestInt(v));
    if (n - i >= lanes()) {
      hn::StoreU(bytes, d8, out + i);
    } else {
      HWY_ALIGN int8_t part[HWY_LANES(float)];
      hn::Store(bytes, d8, part);
      std::copy_n(part, n - i, out + i);
    }
  }
}

/// A row of any float dtype.
template <void (*f32_row)(const float*, int64_t, std::byte*), void (*bf16_row)(const bf16*, int64_t, std::byte*),
          void (*f16_row)(const f16*, int64_t, std::byte*)>
void round_any(const void* x, DType dtype, int64_t k, std::byte* row) {
  if (dtype == DType::bf16) return bf16_row(static_cast<const bf16*>(x), k, row);
  if (dtype == DType::f16) return f16_row(static_cast<const f16*>(x), k, row);
  f32_row(static_cast<const float*>(x), k, row);
}

}  // namespace HWY_NAMESPACE
}  // namespace lazuli::cpu
HWY_AFTER_NAMESPACE();

#endif
