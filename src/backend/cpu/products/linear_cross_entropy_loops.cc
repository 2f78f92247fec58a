// The loops of linear_cross_entropy over rows of logits.
#include "backend/cpu/products/linear_cross_entropy.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/products/linear_cross_entropy_loops.cc"
#include "backend/cpu/common/each_target.h"
#include "backend/cpu/common/simd_math.h"
#include "backend/cpu/tiles/row_loop.h"

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu {
namespace HWY_NAMESPACE {
namespace {

float exp_sum_row(const float* x, float* out, int64_t n, float top) {
  const VF t = splat(top);
  if (out == nullptr) return sum_vectors(n, [&](int64_t i, auto at) HWY_ATTR { return exp_nonpositive(hn::Sub(at.load(x + i), t)); });
  return sum_vectors(n, [&](int64_t i, auto at) HWY_ATTR {
    const VF e = exp_nonpositive(hn::Sub(at.load(x + i), t));
    at.store(e, out + i);
    return e;
  });
}

void add_scaled_row(const float* x, float a, float* y, int64_t n) {
  const VF factor = splat(a);
  each_vector(n, [&](int64_t i, auto at) HWY_ATTR { at.store(hn::MulAdd(factor, at.load(x + i), at.load(y + i)), y + i); });
}

void cap_row(float* x, float* slopes, int64_t n, float cap) {
  const VF c = splat(cap), one = splat(1.0F);
  each_vector(n, [&](int64_t i, auto at) HWY_ATTR {
    const VF part = tanh(hn::Div(at.load(x + i), c));
    at.store(hn::Mul(part, c), x + i);
    if (slopes != nullptr) at.store(hn::NegMulAdd(part, part, one), slopes + i);
  });
}

void multiply_row(const float* x, float* y, int64_t n) {
  each_vector(n, [&](int64_t i, auto at) HWY_ATTR { at.store(hn::Mul(at.load(x + i), at.load(y + i)), y + i); });
}

LossLoops lookup_loss_loops() { return {exp_sum_row, cap_row, multiply_row, add_scaled_row}; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lazuli::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lazuli::cpu {

HWY_EXPORT(lookup_loss_loops);

LossLoops loss_loops() { return HWY_DYNAMIC_DISPATCH(lookup_loss_loops)(); }

}  // namespace lazuli::cpu
#endif
