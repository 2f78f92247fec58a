#include <cmath>

#include "backend/cpu/tiles/tile_table.h"
#include "lazuli/op.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/tiles/tile_unary.cc"
#include "backend/cpu/common/each_target.h"
#include "backend/cpu/common/simd_math.h"
#include "backend/cpu/tiles/tile_loop.h"

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu {
namespace HWY_NAMESPACE {
namespace {

#define LAZULI_UNARY(name, expression)                    \
  struct name {                                           \
    static HWY_INLINE VF run(VF x) { return expression; } \
  };
LAZULI_UNARY(Neg, hn::Neg(x))
LAZULI_UNARY(Abs, hn::Abs(x))
// NaN keeps its value.
LAZULI_UNARY(Sign, hn::IfThenElse(hn::Or(hn::Eq(x, zero()), hn::IsNaN(x)), x, hn::CopySign(splat(1.0f), x)))
LAZULI_UNARY(Square, hn::Mul(x, x))
LAZULI_UNARY(Exp, exp(x))
LAZULI_UNARY(Log, log(x))
LAZULI_UNARY(Sqrt, hn::Sqrt(x))
LAZULI_UNARY(Rsqrt, hn::Div(splat(1.0f), hn::Sqrt(x)))
LAZULI_UNARY(Reciprocal, hn::Div(splat(1.0f), x))
LAZULI_UNARY(Tanh, tanh(x))
LAZULI_UNARY(Erf, erf(x))
LAZULI_UNARY(Sigmoid, sigmoid(x))
LAZULI_UNARY(Relu, hn::IfThenElse(hn::Lt(x, zero()), zero(), x))
LAZULI_UNARY(Gelu, gelu(x))
LAZULI_UNARY(GeluTanh, gelu_tanh(x))
LAZULI_UNARY(Silu, silu(x))
LAZULI_UNARY(LogicalNot, hn::IfThenElseZero(hn::Eq(x, zero()), splat(1.0f)))
LAZULI_UNARY(IsFinite, hn::IfThenElseZero(hn::Lt(hn::Abs(x), splat(std::numeric_limits<float>::infinity())), splat(1.0f)))
LAZULI_UNARY(NonZero, hn::IfThenZeroElse(hn::Eq(x, zero()), splat(1.0f)))
LAZULI_UNARY(Copy, x)
#undef LAZULI_UNARY

TileFn lookup_unary(Op op) {
  switch (op) {
    case Op::neg:
      return tile_unary<Neg>;
    case Op::abs:
      return tile_unary<Abs>;
    case Op::sign:
      return tile_unary<Sign>;
    case Op::square:
      return tile_unary<Square>;
    case Op::exp:
      return tile_unary<Exp>;
    case Op::log:
      return tile_unary<Log>;
    case Op::sqrt:
      return tile_unary<Sqrt>;
    case Op::rsqrt:
      return tile_unary<Rsqrt>;
    case Op::reciprocal:
      return tile_unary<Reciprocal>;
    case Op::tanh:
      return tile_unary<Tanh>;
    case Op::erf:
      return tile_unary<Erf>;
    case Op::sigmoid:
      return tile_unary<Sigmoid>;
    case Op::relu:
      return tile_unary<Relu>;
    case Op::gelu:
      return tile_unary<Gelu>;
    case Op::gelu_tanh:
      return tile_unary<GeluTanh>;
    case Op::silu:
      return tile_unary<Silu>;
    case Op::logical_not:
      return tile_unary<LogicalNot>;
    case Op::is_finite:
      return tile_unary<IsFinite>;
    case Op::copy:
      return tile_unary<Copy>;
    case Op::full:
      return tile_unary<Copy, true>;
    // not_equal to zero: what a cast to bool is.
    case Op::not_equal:
      return tile_unary<NonZero>;
    default:
      return nullptr;
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lazuli::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lazuli::cpu {
namespace {

HWY_EXPORT(lookup_unary);

// Rare, and hard to reduce exactly for large arguments: the C library does it.
void tile_sin(const float* a, const float*, const float*, float* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = std::sin(a[i]);
}
void tile_cos(const float* a, const float*, const float*, float* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = std::cos(a[i]);
}

}  // namespace

TileFn tile_unary_fn(Op op) {
  if (op == Op::sin) return tile_sin;
  if (op == Op::cos) return tile_cos;
  return HWY_DYNAMIC_DISPATCH(lookup_unary)(op);
}

}  // namespace lazuli::cpu
#endif
