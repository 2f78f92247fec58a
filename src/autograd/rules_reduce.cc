// Derivative rules of reductions, softmax, norms, cross entropy and dropout.
#include "autograd/definitions.h"
#include "autograd/vjp_rules.h"
#include "graph/attrs.h"
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
  const LazyTensor &x = c.in(0), &weight = c.in(1), &eps = c.in(2);
  if (c.need(0)) c.set(0, record(Op::rms_norm_backward, {x, weight, c.g(), eps}));
  if (c.need(1)) c.set(1, weight_gradient(c.g(), divided_by_rms(x, eps)));
  vjp_through_definition(c, 2, 3);
}

void vjp_layer_norm(VjpContext& c) {
  const LazyTensor &x = c.in(0), &weight = c.in(1), &eps = c.in(3);
  if (c.need(0)) c.set(0, record(Op::layer_norm_backward, {x, weight, c.g(), eps}));
  if (c.need(1)) c.set(1, weight_gradient(c.g(), standardised(x, eps)));
  if (c.need(2)) c.set(2, c.g());
  vjp_through_definition(c, 3, 4);
}

// The kernel takes the log-sum-exp as it was saved; a gradient that comes in through it needs the definition.
void vjp_cross_entropy(VjpContext& c) {
  if (c.g(1).defined()) return vjp_through_definition(c, 0, 3);
  if (c.need(0)) c.set(0, record(Op::cross_entropy_backward, {c.in(0), c.in(1), c.in(2), c.out(1), c.g()}, c.attrs));
  vjp_through_definition(c, 2, 3);
}

// The same elements are kept. As a function of the probability it has no derivative.
void vjp_dropout(VjpContext& c) {
  if (c.need(0)) c.set(0, record(Op::dropout, {c.g(), c.in(1), c.in(2)}, c.attrs));
}

}  // namespace lazuli::autograd::vjp_rules
