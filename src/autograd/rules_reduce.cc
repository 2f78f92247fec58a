// Derivative rules of reductions, softmax, norms, cross entropy and dropout.
#include "autograd/definitions.h"
#include "autograd/vjp_rules.h"
#include "graph/attrs.h"
#include "graph/operands.h"
#include "lazuli/op.h"

namespace lazuli::autograd::vjp_rules {

namespace {

/// A reduced value with the folded axes back as size 1, so that it broadcasts against the operand.
LazyTensor beside_operand(const VjpContext& c, const LazyTensor& reduced) {
  return restore_axes(reduced, c.in(0).shape(), c.attrs[attr::sum::axes]);
}

/// How many elements go into one result.
double folded(const VjpContext& c) {
  double count = 1;
  for (int axis : axes_of_mask(c.attrs[attr::sum::axes])) count *= static_cast<double>(c.in(0).shape()[axis]);
  return count;
}

LazyTensor spread(const VjpContext& c) { return expand(beside_operand(c, c.g()), c.in(0).shape()); }

/// g times what the weight multiplied, summed over the rows.
LazyTensor weight_gradient(const LazyTensor& g, const LazyTensor& normalised) {
  const LazyTensor product = cast(g, normalised.dtype()) * normalised;
  return product.rank() == 1 ? product : sum(product, leading_axes(product));
}

}  // namespace

void vjp_sum(VjpContext& c) { c.set(0, spread(c)); }
void vjp_mean(VjpContext& c) {
  const LazyTensor g = beside_operand(c, c.g());
  c.set(0, expand(mul(g, constant(g, 1 / folded(c))), c.in(0).shape()));
}

// Elements that tie share the gradient evenly, as in torch.amax.
void vjp_extreme(VjpContext& c) {
  const LazyTensor& x = c.in(0);
  if (c.attrs[attr::sum::axes] == 0) return c.set(0, c.g());
  const LazyTensor hit = cast(equal(x, beside_operand(c, c.out())), compute_dtype(x));
  const LazyTensor count = sum(hit, axes_of_mask(c.attrs[attr::sum::axes]), true);
  c.set(0, hit * div(cast(beside_operand(c, c.g()), hit.dtype()), count));
}

// exp(x - y), which is 0 where all operands are -inf.
void vjp_logsumexp(VjpContext& c) {
  const LazyTensor y = beside_operand(c, c.out());
  const LazyTensor finite = where(is_finite(y), y, constant(y, 0));
  c.set(0, beside_operand(c, c.g()) * exp(c.in(0) - finite));
}

void vjp_var(VjpContext& c) {
  const LazyTensor& x = c.in(0);
  if (c.attrs[attr::sum::axes] == 0) return;
  const LazyTensor centred = x - mean(x, axes_of_mask(c.attrs[attr::sum::axes]), true);
  const double freedom = folded(c) - static_cast<double>(c.attrs[attr::var::correction]);
  const LazyTensor g = beside_operand(c, c.g());
  c.set(0, mul(g, constant(g, 2 / freedom)) * centred);
}

void vjp_softmax(VjpContext& c) { c.set(0, record(Op::softmax_backward, {c.out(), c.g()}, c.attrs)); }

void vjp_log_softmax(VjpContext& c) {
  const int axis = static_cast<int>(c.attrs[attr::softmax::axis]);
  c.set(0, c.g() - exp(c.out()) * sum(c.g(), {axis}, true));
}

void vjp_rms_norm(VjpContext& c) {
  namespace in = operand::rms_norm;
  const LazyTensor &x = c.in(in::x), &weight = c.in(in::weight), &eps = c.in(in::eps);
  if (c.need(in::x)) c.set(in::x, record(Op::rms_norm_backward, {x, weight, c.g(), eps}));
  if (c.need(in::weight)) c.set(in::weight, weight_gradient(c.g(), divided_by_rms(x, eps)));
  vjp_through_definition(c, in::eps, in::eps + 1);
}

void vjp_layer_norm(VjpContext& c) {
  namespace in = operand::layer_norm;
  const LazyTensor &x = c.in(in::x), &weight = c.in(in::weight), &eps = c.in(in::eps);
  if (c.need(in::x)) c.set(in::x, record(Op::layer_norm_backward, {x, weight, c.g(), eps}));
  if (c.need(in::weight)) c.set(in::weight, weight_gradient(c.g(), standardised(x, eps)));
  if (c.need(in::bias)) c.set(in::bias, c.g());
  vjp_through_definition(c, in::eps, in::eps + 1);
}

// The kernel takes the log-sum-exp as it was saved; a gradient that comes in through it needs the definition.
void vjp_cross_entropy(VjpContext& c) {
  namespace in = operand::cross_entropy;
  if (c.g(1).defined()) return vjp_through_definition(c, in::logits, in::smoothing + 1);
  if (c.need(in::logits))
    c.set(in::logits,
          record(Op::cross_entropy_backward, {c.in(in::logits), c.in(in::targets), c.in(in::smoothing), c.out(1), c.g()}, c.attrs));
  vjp_through_definition(c, in::smoothing, in::smoothing + 1);
}

// The same elements are kept. As a function of the probability it has no derivative.
void vjp_dropout(VjpContext& c) {
  namespace in = operand::dropout;
  if (c.need(in::x)) c.set(in::x, record(Op::dropout, {c.g(), c.in(in::probability), c.in(in::seed)}, c.attrs));
}

}  // namespace lazuli::autograd::vjp_rules
