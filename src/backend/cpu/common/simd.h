// Defines vector helpers for kernel sources, compiled once a target: loads and stores of float dtypes as f32, folds, tails.
// A kernel source sets HWY_TARGET_INCLUDE, includes each_target.h and then this; vector functions are in simd_math.h.
#if defined(LAZULI_BACKEND_CPU_COMMON_SIMD_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LAZULI_BACKEND_CPU_COMMON_SIMD_H_
#undef LAZULI_BACKEND_CPU_COMMON_SIMD_H_
#else
#define LAZULI_BACKEND_CPU_COMMON_SIMD_H_
#endif

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "hwy/highway.h"
#include "lazuli/dtype.h"
#include "tensor/half.h"

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using I32 = hn::RebindToSigned<F32>;
using U32 = hn::RebindToUnsigned<F32>;
using VF = hn::Vec<F32>;
using VI = hn::Vec<I32>;
using VU = hn::Vec<U32>;
using MF = hn::Mask<F32>;

/// Lanes of an f32 vector.
HWY_INLINE int64_t lanes() { return static_cast<int64_t>(hn::Lanes(F32())); }
HWY_INLINE VF splat(float v) { return hn::Set(F32(), v); }
HWY_INLINE VF zero() { return hn::Zero(F32()); }
HWY_INLINE MF first(int64_t n) { return hn::FirstN(F32(), static_cast<size_t>(n)); }

// bf16 and f16 as f32 vectors. Rounding is to nearest even, as everywhere in the library.
HWY_INLINE VF load(const float* p) { return hn::LoadU(F32(), p); }
HWY_INLINE VF load(const bf16* p) {
  const hn::Rebind<uint16_t, F32> d16;
  const VU wide = hn::PromoteTo(U32(), hn::LoadU(d16, reinterpret_cast<const uint16_t*>(p)));
  return hn::BitCast(F32(), hn::ShiftLeft<16>(wide));
}
HWY_INLINE VF load(const f16* p) {
#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
  HWY_ALIGN float wide[HWY_LANES(float)];
  for (size_t i = 0; i < hn::Lanes(F32()); ++i) wide[i] = f16_bits_to_float(p[i].bits);
  return hn::Load(F32(), wide);
#else
  const hn::Rebind<hwy::float16_t, F32> d16;
  return hn::PromoteTo(F32(), hn::LoadU(d16, reinterpret_cast<const hwy::float16_t*>(p)));
#endif
}

HWY_INLINE void store(VF v, float* p) { hn::StoreU(v, F32(), p); }
HWY_INLINE void store(VF v, bf16* p) {
  const hn::Rebind<uint16_t, F32> d16;
  const VU u = hn::BitCast(U32(), v);
  const VU odd = hn::And(hn::ShiftRight<16>(u), hn::Set(U32(), 1u));
  const VU rounded = hn::ShiftRight<16>(hn::Add(u, hn::Add(odd, hn::Set(U32(), 0x7fffu))));
  const VU quiet = hn::Or(hn::ShiftRight<16>(u), hn::Set(U32(), 0x40u));
  const VU bits = hn::IfThenElse(hn::RebindMask(U32(), hn::IsNaN(v)), quiet, rounded);
  hn::StoreU(hn::DemoteTo(d16, hn::BitCast(I32(), bits)), d16, reinterpret_cast<uint16_t*>(p));
}
HWY_INLINE void store(VF v, f16* p) {
#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
  HWY_ALIGN float wide[HWY_LANES(float)];
  hn::Store(v, F32(), wide);
  for (size_t i = 0; i < hn::Lanes(F32()); ++i) p[i].bits = f16_bits_from_float(wide[i]);
#else
  const hn::Rebind<hwy::float16_t, F32> d16;
  hn::StoreU(hn::DemoteTo(d16, v), d16, reinterpret_cast<hwy::float16_t*>(p));
#endif
}

#if !HWY_MEM_OPS_MIGHT_FAULT
HWY_INLINE VF load_n(const float* p, int64_t n) { return hn::MaskedLoad(first(n), F32(), p); }
HWY_INLINE void store_n(VF v, float* p, int64_t n) { hn::BlendedStore(v, first(n), F32(), p); }
#endif
/// The first n (1 <= n < lanes) elements at p, zeros after them; reads nothing else. Masked operations of most targets touch whole vectors.
template <class T>
HWY_INLINE VF load_n(const T* p, int64_t n) {
  T part[HWY_LANES(float)] = {};
  std::memcpy(static_cast<void*>(part), p, static_cast<size_t>(n) * sizeof(T));
  return load(part);
}
template <class T>
HWY_INLINE void store_n(VF v, T* p, int64_t n) {
  T part[HWY_LANES(float)];
  store(v, part);
  std::memcpy(static_cast<void*>(p), part, static_cast<size_t>(n) * sizeof(T));
}

// NaN wins on either side, as in maximum and minimum of the op table.
HWY_INLINE VF max_nan(VF a, VF b) { return hn::IfThenElse(hn::IsNaN(a), a, hn::IfThenElse(hn::Ge(a, b), a, b)); }
HWY_INLINE VF min_nan(VF a, VF b) { return hn::IfThenElse(hn::IsNaN(a), a, hn::IfThenElse(hn::Le(a, b), a, b)); }

HWY_INLINE float sum_of(VF v) { return hn::GetLane(hn::SumOfLanes(F32(), v)); }
template <class Fold>
HWY_INLINE float fold_of(VF v, Fold fold) {
  HWY_ALIGN float lane[HWY_LANES(float)];
  hn::Store(v, F32(), lane);
  for (int64_t n = lanes(); n > 1; n /= 2) {
    for (int64_t i = 0; i < n / 2; ++i) lane[i] = fold(lane[i], lane[i + n / 2]);
  }
  return lane[0];
}
HWY_INLINE float max_of(VF v) {
  return fold_of(v, [](float a, float b) HWY_ATTR { return a != a || a >= b ? a : b; });
}
HWY_INLINE float min_of(VF v) {
  return fold_of(v, [](float a, float b) HWY_ATTR { return a != a || a <= b ? a : b; });
}

}  // namespace HWY_NAMESPACE
}  // namespace lazuli::cpu
HWY_AFTER_NAMESPACE();

#endif
