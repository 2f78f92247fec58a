// Defines what the kernels of matrix products share, compiled once a target.
#if defined(LAZULI_BACKEND_CPU_GEMM_GEMM_SIMD_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LAZULI_BACKEND_CPU_GEMM_GEMM_SIMD_H_
#undef LAZULI_BACKEND_CPU_GEMM_GEMM_SIMD_H_
#else
#define LAZULI_BACKEND_CPU_GEMM_GEMM_SIMD_H_
#endif

#include "backend/cpu/common/simd.h"
#include "backend/cpu/common/thresholds.h"
#include "backend/cpu/gemm/gemm_kernels.h"

// Before a loop over registers: sums stay in registers only when it is unrolled.
#ifndef LAZULI_UNROLL
#if defined(__clang__)
#define LAZULI_UNROLL _Pragma("clang loop unroll(full)")
#else
#define LAZULI_UNROLL _Pragma("GCC unroll 32")
#endif
#endif

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu {
namespace HWY_NAMESPACE {

inline constexpr int kLanes = static_cast<int>(HWY_LANES(float));
// Vectors of a chunk, and the accumulators that leave registers for one row of b and one value of a.
inline constexpr int kChunkVectors = 16 / kLanes;
inline constexpr int kAccumulators = HWY_TARGET == HWY_AVX3 ? 28 : 12;
inline constexpr int kTallest = HWY_TARGET == HWY_AVX3 ? threshold::gemm::kTallestWide : threshold::gemm::kTallest;

#if HWY_TARGET != HWY_SCALAR
// Interleave within 128-bit blocks, by pairs of floats.
HWY_INLINE VF lower_pairs(VF a, VF b) {
  const hn::RepartitionToWide<F32> d64;
  return hn::BitCast(F32(), hn::InterleaveLower(d64, hn::BitCast(d64, a), hn::BitCast(d64, b)));
}
HWY_INLINE VF upper_pairs(VF a, VF b) {
  const hn::RepartitionToWide<F32> d64;
  return hn::BitCast(F32(), hn::InterleaveUpper(d64, hn::BitCast(d64, a), hn::BitCast(d64, b)));
}
using F32x4 = hn::CappedTag<float, 4>;
#endif

}  // namespace HWY_NAMESPACE
}  // namespace lazuli::cpu
HWY_AFTER_NAMESPACE();

#endif
