// Defines f32 vector functions (exp, log, tanh, erf, ...), compiled once a target; errors are about one to two units in the last place.
// The polynomials are minimax fits of this project's own over the ranges given.
#if defined(LAZULI_BACKEND_CPU_COMMON_SIMD_MATH_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LAZULI_BACKEND_CPU_COMMON_SIMD_MATH_H_
#undef LAZULI_BACKEND_CPU_COMMON_SIMD_MATH_H_
#else
#define LAZULI_BACKEND_CPU_COMMON_SIMD_MATH_H_
#endif

#include <limits>

#include "backend/cpu/common/simd.h"

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu {
namespace HWY_NAMESPACE {

/// c[0] + c[1] x + ..., by Horner's rule; recursive because a loop would need an annotation that not every target accepts.
template <size_t I = 0, size_t N>
HWY_INLINE VF polynomial(VF x, const float (&c)[N]) {
  if constexpr (I + 1 == N) {
    return splat(c[I]);
  } else {
    return hn::MulAdd(polynomial<I + 1>(x, c), x, splat(c[I]));
  }
}

/// x limited to [low, high]; NaN stays.
HWY_INLINE VF clamp_nan(VF x, float low, float high) {
  x = hn::IfThenElse(hn::Gt(x, splat(high)), splat(high), x);
  return hn::IfThenElse(hn::Lt(x, splat(low)), splat(low), x);
}

/// 2^n for -126 <= n <= 127.
HWY_INLINE VF power_of_two(VI n) { return hn::BitCast(F32(), hn::ShiftLeft<23>(hn::Add(n, hn::Set(I32(), 127)))); }

namespace detail {
// exp(x) = 2^n exp(r), |r| <= ln(2)/2; (exp(r) - 1 - r) / r^2 on that range. ln 2 is split so that n * high is exact.
HWY_INLINE VF exp_reduced(VF x, VI& n) {
  static constexpr float c[] = {5.000000000e-01f, 1.666666716e-01f, 4.166626930e-02f, 8.333265781e-03f, 1.394607476e-03f, 1.991781755e-04f};
  n = hn::NearestInt(hn::Mul(x, splat(1.44269504f)));
  const VF nf = hn::ConvertTo(F32(), n);
  const VF r = hn::NegMulAdd(nf, splat(-2.12194440e-4f), hn::NegMulAdd(nf, splat(0.693359375f), x));
  return hn::Add(splat(1.0f), hn::MulAdd(hn::Mul(r, r), polynomial(r, c), r));
}
}  // namespace detail

HWY_INLINE VF exp(VF x) {
  VI n;
  const VF p = detail::exp_reduced(clamp_nan(x, -105.0f, 89.0f), n);
  // Two factors: n may be 128, and results below the normal range round only once.
  const VI half = hn::ShiftRight<1>(n);
  return hn::Mul(hn::Mul(p, power_of_two(half)), power_of_two(hn::Sub(n, half)));
}

/// exp for x <= 0 as in softmax: results below the smallest normal number become 0. NaN stays.
HWY_INLINE VF exp_nonpositive(VF x) {
  VI n;
  const VF p = detail::exp_reduced(hn::IfThenElse(hn::Lt(x, splat(-87.0f)), splat(-87.0f), x), n);
  return hn::IfThenZeroElse(hn::Lt(x, splat(-87.0f)), hn::Mul(p, power_of_two(n)));
}

HWY_INLINE VF log(VF x) {
  // x = 2^e (1 + f), 1 + f in [sqrt(1/2), sqrt(2)); (log(1+f) - f + f^2/2) / f^3 on that range.
  static constexpr float c[] = {3.333331347e-01f,  -2.500000894e-01f, 2.000211924e-01f,  -1.666799635e-01f, 1.421955079e-01f,
                                -1.240559146e-01f, 1.188817471e-01f,  -1.167564094e-01f, 6.746601313e-02f};
  const MF tiny = hn::Lt(x, splat(std::numeric_limits<float>::min()));
  const VF scaled = hn::IfThenElse(tiny, hn::Mul(x, splat(0x1p25f)), x);
  const VI bits = hn::Sub(hn::BitCast(I32(), scaled), hn::Set(I32(), 0x3f3504f3));
  const VI e = hn::ShiftRight<23>(bits);
  const VI mantissa = hn::Add(hn::And(bits, hn::Set(I32(), 0x007fffff)), hn::Set(I32(), 0x3f3504f3));
  const VF f = hn::Sub(hn::BitCast(F32(), mantissa), splat(1.0f));
  const VF ef = hn::Sub(hn::ConvertTo(F32(), e), hn::IfThenElseZero(tiny, splat(25.0f)));
  const VF f2 = hn::Mul(f, f);
  VF low = hn::MulAdd(ef, splat(-2.12194440e-4f), hn::Mul(hn::Mul(f2, f), polynomial(f, c)));
  low = hn::NegMulAdd(splat(0.5f), f2, low);
  VF r = hn::MulAdd(ef, splat(0.693359375f), hn::Add(f, low));
  r = hn::IfThenElse(hn::Eq(x, splat(std::numeric_limits<float>::infinity())), x, r);
  r = hn::IfThenElse(hn::Eq(x, zero()), splat(-std::numeric_limits<float>::infinity()), r);
  return hn::IfThenElse(hn::Or(hn::Lt(x, zero()), hn::IsNaN(x)), splat(std::numeric_limits<float>::quiet_NaN()), r);
}

HWY_INLINE VF sigmoid(VF x) { return hn::Div(splat(1.0f), hn::Add(splat(1.0f), exp(hn::Neg(x)))); }

HWY_INLINE VF tanh(VF x) {
  // (tanh(x)/x - 1) / x^2 in x^2 for |x| < 0.63.
  static constexpr float c[] = {-3.333333135e-01f, 1.333319992e-01f,  -5.394599214e-02f,
                                2.169607021e-02f,  -8.165032603e-03f, 2.130901907e-03f};
  const VF t = hn::Abs(x);
  const VF s = hn::Mul(x, x);
  const VF small = hn::MulAdd(hn::Mul(x, s), polynomial(s, c), x);
  const VF e = exp(hn::Add(t, t));
  const VF large = hn::CopySign(hn::Sub(splat(1.0f), hn::Div(splat(2.0f), hn::Add(e, splat(1.0f)))), x);
  return hn::IfThenElse(hn::Lt(t, splat(0.625f)), small, large);
}

HWY_INLINE VF erf(VF x) {
  // erf(x)/x - 1 in x^2 for |x| < 0.93, and -log(1 - erf(t))/t on 0.92 .. 4, beyond which erf rounds to 1.
  static constexpr float c[] = {1.283791661e-01f, -3.761263192e-01f, 1.128368750e-01f, -2.685894072e-02f,
                                5.199906416e-03f, -8.130011847e-04f, 8.316772437e-05f};
  static constexpr float q[] = {1.128555179e+00f, 6.356092691e-01f,  1.052944437e-01f,  -2.270829864e-02f,
                                2.951671602e-03f, -5.751305434e-05f, -4.399996396e-05f, 4.806475772e-06f};
  const VF s = hn::Mul(x, x);
  const VF small = hn::MulAdd(x, polynomial(s, c), x);
  const VF t = clamp_nan(hn::Abs(x), 0.0f, 4.0f);
  const VF large = hn::CopySign(hn::Sub(splat(1.0f), exp_nonpositive(hn::Neg(hn::Mul(t, polynomial(t, q))))), x);
  return hn::IfThenElse(hn::Lt(t, splat(0.925f)), small, large);
}

HWY_INLINE VF gelu(VF x) {
  const VF half = hn::Mul(splat(0.5f), x);
  return hn::MulAdd(half, erf(hn::Mul(x, splat(0.707106781f))), half);
}
/// x/2 (1 + tanh(y)) = x sigmoid(2y) with y = sqrt(2/pi) (x + 0.044715 x^3).
HWY_INLINE VF gelu_tanh(VF x) {
  const VF y2 = hn::Mul(hn::Mul(x, splat(1.59576912f)), hn::MulAdd(hn::Mul(x, x), splat(0.044715f), splat(1.0f)));
  return hn::Div(x, hn::Add(splat(1.0f), exp(hn::Neg(y2))));
}
HWY_INLINE VF silu(VF x) { return hn::Div(x, hn::Add(splat(1.0f), exp(hn::Neg(x)))); }

}  // namespace HWY_NAMESPACE
}  // namespace lazuli::cpu
HWY_AFTER_NAMESPACE();

#endif
