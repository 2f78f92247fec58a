#include <cmath>

#include "backend/cpu/tiles/tile_table.h"
#include "lazuli/op.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/tiles/tile_arithmetic.cc"
#include "backend/cpu/common/each_target.h"
#include "backend/cpu/tiles/tile_loop.h"

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu {
namespace HWY_NAMESPACE {
namespace {

HWY_INLINE VF truth(MF m) { return hn::IfThenElseZero(m, splat(1.0f)); }
// Highway's Ne is false for NaN.
HWY_INLINE MF is_true(VF v) { return hn::Not(hn::Eq(v, zero())); }

#define LAZULI_BINARY(name, expression)                         \
  struct name {                                                 \
    static HWY_INLINE VF run(VF a, VF b) { return expression; } \
  };
LAZULI_BINARY(Add, hn::Add(a, b))
LAZULI_BINARY(Sub, hn::Sub(a, b))
LAZULI_BINARY(Mul, hn::Mul(a, b))
LAZULI_BINARY(Div, hn::Div(a, b))
LAZULI_BINARY(Maximum, max_nan(a, b))
LAZULI_BINARY(Minimum, min_nan(a, b))
LAZULI_BINARY(Equal, truth(hn::Eq(a, b)))
LAZULI_BINARY(NotEqual, truth(hn::Not(hn::Eq(a, b))))
LAZULI_BINARY(Less, truth(hn::Lt(a, b)))
LAZULI_BINARY(LessEqual, truth(hn::Le(a, b)))
LAZULI_BINARY(Greater, truth(hn::Gt(a, b)))
LAZULI_BINARY(GreaterEqual, truth(hn::Ge(a, b)))
LAZULI_BINARY(LogicalAnd, truth(hn::And(is_true(a), is_true(b))))
LAZULI_BINARY(LogicalOr, truth(hn::Or(is_true(a), is_true(b))))
#undef LAZULI_BINARY

struct Where {
  static HWY_INLINE VF run(VF c, VF a, VF b) { return hn::IfThenElse(hn::Eq(c, zero()), b, a); }
};
struct Clip {
  static HWY_INLINE VF run(VF x, VF low, VF high) { return min_nan(max_nan(x, low), high); }
};

template <class F>
TileFn binary(int scalars) {
  if (scalars == 0) return tile_binary<F, false, false>;
  if (scalars == 1) return tile_binary<F, true, false>;
  return scalars == 2 ? tile_binary<F, false, true> : nullptr;
}

TileFn where(int scalars) {
  if (scalars == 0) return tile_ternary<Where, false, false>;
  if (scalars == 2) return tile_ternary<Where, true, false>;
  if (scalars == 4) return tile_ternary<Where, false, true>;
  return scalars == 6 ? tile_ternary<Where, true, true> : nullptr;
}

TileFn lookup_arithmetic(Op op, int scalars) {
  switch (op) {
    case Op::add:
      return binary<Add>(scalars);
    case Op::sub:
      return binary<Sub>(scalars);
    case Op::mul:
      return binary<Mul>(scalars);
    case Op::div:
      return binary<Div>(scalars);
    case Op::maximum:
      return binary<Maximum>(scalars);
    case Op::minimum:
      return binary<Minimum>(scalars);
    case Op::equal:
      return binary<Equal>(scalars);
    case Op::not_equal:
      return binary<NotEqual>(scalars);
    case Op::less:
      return binary<Less>(scalars);
    case Op::less_equal:
      return binary<LessEqual>(scalars);
    case Op::greater:
      return binary<Greater>(scalars);
    case Op::greater_equal:
      return binary<GreaterEqual>(scalars);
    case Op::logical_and:
      return binary<LogicalAnd>(scalars);
    case Op::logical_or:
      return binary<LogicalOr>(scalars);
    case Op::where:
      return where(scalars);
    case Op::clip:
      return scalars == 6 ? tile_ternary<Clip, true, true> : scalars == 0 ? tile_ternary<Clip, false, false> : nullptr;
    default:
      return nullptr;
  }
}

struct AddTo {
  static HWY_INLINE VF run(VF a, VF b) { return hn::Add(a, b); }
};

// Four accumulators; `rest` is what a lane without an element contributes.
template <class F>
HWY_INLINE VF fold_lanes(const float* a, int64_t n, float rest) {
  const int64_t step = lanes();
  VF s0 = splat(rest), s1 = s0, s2 = s0, s3 = s0;
  int64_t i = 0;
  for (; i + 4 * step <= n; i += 4 * step) {
    s0 = F::run(s0, load(a + i));
    s1 = F::run(s1, load(a + i + step));
    s2 = F::run(s2, load(a + i + 2 * step));
    s3 = F::run(s3, load(a + i + 3 * step));
  }
  for (; i + step <= n; i += step) s0 = F::run(s0, load(a + i));
  if (i < n) s1 = F::run(s1, hn::IfThenElse(first(n - i), load_n(a + i, n - i), splat(rest)));
  return F::run(F::run(s0, s1), F::run(s2, s3));
}
float fold_sum(const float* a, int64_t n) { return sum_of(fold_lanes<AddTo>(a, n, 0.0f)); }
float fold_max(const float* a, int64_t n) { return max_of(fold_lanes<Maximum>(a, n, a[0])); }
float fold_min(const float* a, int64_t n) { return min_of(fold_lanes<Minimum>(a, n, a[0])); }

TileFold lookup_fold(Op op) { return op == Op::max ? fold_max : op == Op::min ? fold_min : fold_sum; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lazuli::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lazuli::cpu {
namespace {

HWY_EXPORT(lookup_arithmetic);
HWY_EXPORT(lookup_fold);

template <bool kScalarA, bool kScalarB>
void tile_pow(const float* a, const float* b, const float*, float* out, int64_t n) {
  if (kScalarB && *b == 2.0f) {
    for (int64_t i = 0; i < n; ++i) out[i] = a[i] * a[i];
    return;
  }
  for (int64_t i = 0; i < n; ++i) out[i] = std::pow(a[kScalarA ? 0 : i], b[kScalarB ? 0 : i]);
}

TileFn pow_fn(int scalars) {
  if (scalars == 0) return tile_pow<false, false>;
  if (scalars == 1) return tile_pow<true, false>;
  return scalars == 2 ? tile_pow<false, true> : nullptr;
}

}  // namespace

TileFn tile_arithmetic_fn(Op op, int scalars) {
  return op == Op::pow ? pow_fn(scalars) : HWY_DYNAMIC_DISPATCH(lookup_arithmetic)(op, scalars);
}

TileFn tile_fn(Op op, int scalars) {
  const OpClass cls = info(op).cls;
  if (cls == OpClass::unary) return scalars == 0 ? tile_unary_fn(op) : nullptr;
  return tile_arithmetic_fn(op, scalars);
}

TileFold tile_fold(Op op) { return HWY_DYNAMIC_DISPATCH(lookup_fold)(op); }

}  // namespace lazuli::cpu
#endif
