// Derivative rules of elementwise ops.
#include <cmath>
#include <numbers>

#include "autograd/vjp_rules.h"
#include "graph/operands.h"

namespace lazuli::autograd::vjp_rules {

namespace {

/// 1 - x.
LazyTensor complement(const LazyTensor& x) { return sub(constant(x, 1), x); }

LazyTensor times(const LazyTensor& x, double factor) { return mul(x, constant(x, factor)); }

/// g where the condition holds, else 0.
LazyTensor only_where(const LazyTensor& condition, const LazyTensor& g) { return where(condition, g, constant(g, 0)); }

const double kInverseSqrt2Pi = 1 / std::sqrt(2 * std::numbers::pi);
const double kSqrt2OverPi = std::sqrt(2 / std::numbers::pi);

}  // namespace

void vjp_zero(VjpContext&) {}
void vjp_identity(VjpContext& c) { c.set(0, c.g()); }
void vjp_cast(VjpContext& c) { c.set(0, c.g()); }
void vjp_neg(VjpContext& c) { c.set(0, neg(c.g())); }
void vjp_abs(VjpContext& c) { c.set(0, c.g() * sign(c.in(0))); }
void vjp_square(VjpContext& c) { c.set(0, c.g() * times(c.in(0), 2)); }
void vjp_exp(VjpContext& c) { c.set(0, c.g() * c.out()); }
void vjp_log(VjpContext& c) { c.set(0, c.g() / c.in(0)); }
void vjp_sqrt(VjpContext& c) { c.set(0, times(c.g(), 0.5) / c.out()); }
void vjp_rsqrt(VjpContext& c) { c.set(0, times(c.g(), -0.5) * (c.out() * square(c.out()))); }
void vjp_reciprocal(VjpContext& c) { c.set(0, neg(c.g() * square(c.out()))); }
void vjp_sin(VjpContext& c) { c.set(0, c.g() * cos(c.in(0))); }
void vjp_cos(VjpContext& c) { c.set(0, neg(c.g() * sin(c.in(0)))); }
void vjp_tanh(VjpContext& c) { c.set(0, c.g() * complement(square(c.out()))); }
void vjp_erf(VjpContext& c) { c.set(0, times(c.g(), 2 * std::numbers::inv_sqrtpi) * exp(neg(square(c.in(0))))); }
void vjp_sigmoid(VjpContext& c) { c.set(0, c.g() * (c.out() * complement(c.out()))); }
void vjp_relu(VjpContext& c) { c.set(0, only_where(greater(c.in(0), constant(c.in(0), 0)), c.g())); }

// x Phi(x): Phi(x) + x phi(x).
void vjp_gelu(VjpContext& c) {
  const LazyTensor& x = c.in(0);
  const LazyTensor cumulative = times(add(erf(times(x, std::numbers::sqrt2 / 2)), constant(x, 1)), 0.5);
  const LazyTensor density = times(exp(times(square(x), -0.5)), kInverseSqrt2Pi);
  c.set(0, c.g() * (cumulative + x * density));
}

// x (1 + t) / 2 with t = tanh(u), u = sqrt(2/pi) (x + 0.044715 x^3).
void vjp_gelu_tanh(VjpContext& c) {
  const LazyTensor& x = c.in(0);
  constexpr double kCubic = 0.044715;
  const LazyTensor squared = square(x);
  const LazyTensor u = times(x, kSqrt2OverPi) * add(times(squared, kCubic), constant(x, 1));
  const LazyTensor du = times(add(times(squared, 3 * kCubic), constant(x, 1)), kSqrt2OverPi);
  const LazyTensor t = tanh(u);
  const LazyTensor slope = times(add(t, constant(x, 1)) + x * complement(square(t)) * du, 0.5);
  c.set(0, c.g() * slope);
}

void vjp_silu(VjpContext& c) {
  const LazyTensor s = sigmoid(c.in(0));
  c.set(0, c.g() * (s * add(c.in(0) * complement(s), constant(s, 1))));
}

void vjp_add(VjpContext& c) {
  for (size_t k : {size_t{0}, size_t{1}}) {
    if (c.need(k)) c.set(k, c.g());
  }
}

void vjp_sub(VjpContext& c) {
  if (c.need(0)) c.set(0, c.g());
  if (c.need(1)) c.set(1, neg(c.g()));
}

void vjp_mul(VjpContext& c) {
  if (c.need(0)) c.set(0, c.g() * c.in(1));
  if (c.need(1)) c.set(1, c.g() * c.in(0));
}

void vjp_div(VjpContext& c) {
  const LazyTensor share = c.g() / c.in(1);
  if (c.need(0)) c.set(0, share);
  if (c.need(1)) c.set(1, neg(share * c.out()));
}

// A power of 0 is constant, and so is 0 to any power of at least 0 as a function of the power: both slopes are 0 there, not NaN.
void vjp_pow(VjpContext& c) {
  const LazyTensor &a = c.in(0), &b = c.in(1);
  const LazyTensor zero = constant(a, 0);
  if (c.need(0)) c.set(0, where(equal(b, zero), zero, c.g() * b * pow(a, sub(b, constant(b, 1)))));
  if (c.need(1)) {
    const LazyTensor flat = logical_and(equal(a, zero), greater_equal(b, zero));
    c.set(1, where(flat, zero, c.g() * c.out() * log(where(flat, constant(a, 1), a))));
  }
}

namespace {

// Operands that tie share the gradient.
void set_extreme(VjpContext& c, size_t k, const LazyTensor& wins) {
  if (c.need(k)) c.set(k, where(wins, c.g(), only_where(equal(c.in(0), c.in(1)), times(c.g(), 0.5))));
}

}  // namespace

void vjp_maximum(VjpContext& c) {
  set_extreme(c, 0, greater(c.in(0), c.in(1)));
  set_extreme(c, 1, less(c.in(0), c.in(1)));
}

void vjp_minimum(VjpContext& c) {
  set_extreme(c, 0, less(c.in(0), c.in(1)));
  set_extreme(c, 1, greater(c.in(0), c.in(1)));
}

void vjp_where(VjpContext& c) {
  namespace in = operand::where;
  const LazyTensor zero = constant(c.g(), 0);
  if (c.need(in::a)) c.set(in::a, where(c.in(in::condition), c.g(), zero));
  if (c.need(in::b)) c.set(in::b, where(c.in(in::condition), zero, c.g()));
}

void vjp_clip(VjpContext& c) {
  namespace in = operand::clip;
  const LazyTensor &x = c.in(in::x), &low = c.in(in::low), &high = c.in(in::high);
  if (c.need(in::x)) c.set(in::x, only_where(logical_and(greater_equal(x, low), less_equal(x, high)), c.g()));
  if (c.need(in::low)) c.set(in::low, only_where(logical_and(less(x, low), less_equal(low, high)), c.g()));
  if (c.need(in::high)) c.set(in::high, only_where(logical_or(greater(x, high), greater(low, high)), c.g()));
}

}  // namespace lazuli::autograd::vjp_rules
