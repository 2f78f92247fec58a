// Derivative rules of matrix products, LoRA, rotary embedding and attention.
#include "autograd/definitions.h"
#include "autograd/vjp_rules.h"
#include "graph/attention_operands.h"
#include "graph/attrs.h"
#include "graph/operands.h"
#include "lazuli/error.h"
#include "lazuli/op.h"

namespace lazuli::autograd::vjp_rules {

namespace {

/// x as one matrix: all leading axes as rows.
LazyTensor rows(const LazyTensor& x) {
  int64_t count = 1;
  for (int i = 0; i + 1 < x.rank(); ++i) count *= x.shape()[i];
  return reshape(x, {count, x.dim(-1)});
}

/// left^T @ right over all rows, or its transpose.
LazyTensor weight_product(const LazyTensor& left, const LazyTensor& right, bool transposed) {
  return transposed ? matmul(rows(right), rows(left), true) : matmul(rows(left), rows(right), true);
}

/// x * scale, multiplied in scale's precision.
LazyTensor scaled(const LazyTensor& x, const LazyTensor& scale) { return cast(mul(x, scale), x.dtype()); }

/// The low-rank part scale * (x@a)@b, with x operand 0, a and b operands `first` and `first + 1`, and scale after them.
void set_low_rank(VjpContext& c, size_t first) {
  const LazyTensor &x = c.in(0), &a = c.in(first), &b = c.in(first + 1), &scale = c.in(first + 2);
  const bool a_transposed = c.attrs[attr::lora_linear::transpose_a] != 0, b_transposed = c.attrs[attr::lora_linear::transpose_b] != 0;
  if (!c.need(first) && !c.need(first + 1) && !c.need(first + 2)) return;
  const LazyTensor g_rows = rows(c.g()), x_rows = rows(x);
  LazyTensor inner, back;
  if (c.need(first + 1) || c.need(first + 2)) inner = matmul(x_rows, a, false, a_transposed);
  if (c.need(first) || c.need(first + 2)) back = matmul(g_rows, b, false, !b_transposed);
  if (c.need(first)) c.set(first, weight_product(x_rows, scaled(back, scale), a_transposed));
  if (c.need(first + 1)) c.set(first + 1, weight_product(scaled(inner, scale), g_rows, b_transposed));
  if (c.need(first + 2)) c.set(first + 2, sum(cast(inner, compute_dtype(x)) * cast(back, compute_dtype(x))));
}

}  // namespace

void vjp_matmul(VjpContext& c) {
  namespace in = operand::matmul;
  const LazyTensor &a = c.in(in::a), &b = c.in(in::b), &g = c.g();
  const bool ta = c.attrs[attr::matmul::transpose_a] != 0, tb = c.attrs[attr::matmul::transpose_b] != 0;
  if (c.need(in::a)) c.set(in::a, ta ? matmul(b, g, tb, true) : matmul(g, b, false, !tb));
  if (!c.need(in::b)) return;
  if (b.rank() == 2 && a.rank() > 2 && !ta) {
    // One product over all rows instead of one a batch entry and a sum.
    c.set(in::b, weight_product(a, g, tb));
  } else {
    c.set(in::b, tb ? matmul(g, a, true, ta) : matmul(a, g, !ta, false));
  }
}

// The gradient of x is a low-rank product itself, with the factors transposed and exchanged.
void vjp_lora_fused(VjpContext& c) {
  namespace in = operand::lora_fused;
  if (c.need(in::x)) {
    Attrs attrs;
    attrs[attr::lora_fused::transpose_a] = 1 - c.attrs[attr::lora_fused::transpose_b];
    attrs[attr::lora_fused::transpose_b] = 1 - c.attrs[attr::lora_fused::transpose_a];
    c.set(in::x, record(Op::lora_fused, {c.g(), c.in(in::b), c.in(in::a), c.in(in::scale)}, attrs));
  }
  set_low_rank(c, in::a);
}

void vjp_lora_linear(VjpContext& c) {
  namespace in = operand::lora_linear;
  if (c.need(in::x)) {
    Attrs attrs;
    attrs[attr::lora_linear::transpose_a] = 1 - c.attrs[attr::lora_linear::transpose_b];
    attrs[attr::lora_linear::transpose_b] = 1 - c.attrs[attr::lora_linear::transpose_a];
    attrs[attr::lora_linear::transpose_w] = 1 - c.attrs[attr::lora_linear::transpose_w];
    c.set(in::x, record(Op::lora_linear, {c.g(), c.in(in::w), c.in(in::b), c.in(in::a), c.in(in::scale)}, attrs));
  }
  if (c.need(in::w)) c.set(in::w, weight_product(c.in(in::x), c.g(), c.attrs[attr::lora_linear::transpose_w] != 0));
  set_low_rank(c, in::a);
  if (c.need(in::bias)) c.set(in::bias, c.g());
}

// The gradient of x is there already but for the factor of each row. That of w needs the logits again.
void vjp_linear_cross_entropy(VjpContext& c) {
  namespace in = operand::linear_cross_entropy;
  if (c.g(1).defined() || c.g(2).defined()) return vjp_through_definition(c, 0, c.inputs.size());
  const LazyTensor &x = c.in(in::x), &w = c.in(in::w);
  if (c.need(in::x)) c.set(in::x, cast(mul(unsqueeze(c.g(), -1), cast(c.out(2), c.g().dtype())), x.dtype()));
  if (c.need(in::w)) {
    const bool transposed = c.attrs[attr::linear_cross_entropy::transpose_w] != 0;
    Attrs attrs;
    attrs[attr::cross_entropy::ignore_index] = c.attrs[attr::linear_cross_entropy::ignore_index];
    Capped logits{matmul(x, w, false, transposed), {}};
    if (c.attrs[attr::linear_cross_entropy::softcap] != 0) logits = capped(logits.value, cast(c.in(in::softcap), logits.value.dtype()));
    LazyTensor g = record(Op::cross_entropy_backward, {logits.value, c.in(in::targets), c.in(in::smoothing), c.out(1), c.g()}, attrs);
    if (logits.slope.defined()) g = g * logits.slope;
    c.set(in::w, weight_product(x, g, transposed));
  }
  vjp_through_definition(c, in::smoothing, c.inputs.size());
}

namespace {

/// The gradient of x (rows, each or 1, size) from that of each choice: rows that all choices share add them up.
LazyTensor shared_rows(const LazyTensor& gradient, const LazyTensor& x) {
  return x.dim(1) == gradient.dim(1) ? gradient : sum(gradient, {1}, true);
}

}  // namespace

void vjp_gather_matmul(VjpContext& c) {
  namespace in = operand::gather_matmul;
  const LazyTensor &x = c.in(in::x), &w = c.in(in::w), &chosen = c.in(in::chosen), &g = c.g();
  const bool transposed = c.attrs[attr::gather_matmul::transpose_w] != 0;
  if (c.need(in::x)) c.set(in::x, shared_rows(gather_matmul(g, w, chosen, !transposed), x));
  if (c.need(in::w)) c.set(in::w, transposed ? gather_outer(g, x, chosen, w.dim(0)) : gather_outer(x, g, chosen, w.dim(0)));
}

void vjp_gather_outer(VjpContext& c) {
  namespace in = operand::gather_outer;
  const LazyTensor &a = c.in(in::a), &b = c.in(in::b), &chosen = c.in(in::chosen), &g = c.g();
  if (c.need(in::a)) c.set(in::a, shared_rows(gather_matmul(b, g, chosen, true), a));
  if (c.need(in::b)) c.set(in::b, shared_rows(gather_matmul(a, g, chosen), b));
}

void vjp_rope(VjpContext& c) {
  namespace in = operand::rope;
  if (c.need(in::x)) {
    Attrs attrs = c.attrs;
    attrs[attr::rope::back] = 1 - attrs[attr::rope::back];
    c.set(in::x, record(Op::rope, {c.g(), c.in(in::cos), c.in(in::sin), c.in(in::offset)}, attrs));
  }
  vjp_through_definition(c, in::cos, in::offset);
}

// A gradient that comes in through the log-sum-exp, and those of operands behind the values, need the definition.
void vjp_sdpa(VjpContext& c) {
  namespace in = operand::sdpa;
  if (AttentionOperands(c.op, c.attrs).find(AttentionPart::blocks)) throw GraphError("[sdpa] there is no gradient through keys in pages");
  if (c.g(1).defined()) return vjp_through_definition(c, 0, c.inputs.size());
  if (c.need(in::q) || c.need(in::k) || c.need(in::v)) {
    std::vector<LazyTensor> operands{c.in(in::q), c.in(in::k), c.in(in::v), c.out(0), c.out(1), c.g()};
    operands.insert(operands.end(), c.inputs.begin() + in::scale, c.inputs.end());
    const auto grads = record_all(Op::sdpa_backward, operands, c.attrs);
    for (size_t k = 0; k < 3; ++k) {
      if (c.need(k)) c.set(k, grads[k]);
    }
  }
  vjp_through_definition(c, in::scale, c.inputs.size());
}

}  // namespace lazuli::autograd::vjp_rules
