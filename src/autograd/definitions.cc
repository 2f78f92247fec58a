// Implements the definitions of softmax derivatives, norms, cross entropy and linear layers in primitive ops.
#include "autograd/definitions.h"

#include <fmt/format.h>

#include <algorithm>

#include "autograd/vjp_rules.h"
#include "graph/attrs.h"
#include "graph/operands.h"
#include "graph/stored_parts.h"
#include "lazuli/error.h"
#include "lazuli/op.h"

namespace lazuli::autograd {

LazyTensor divided_by_rms(const LazyTensor& x, const LazyTensor& eps) {
  const LazyTensor data = cast(x, compute_dtype(x));
  return data * rsqrt(add(mean(square(data), {-1}, true), cast(eps, data.dtype())));
}

LazyTensor standardised(const LazyTensor& x, const LazyTensor& eps) {
  const LazyTensor data = cast(x, compute_dtype(x));
  const LazyTensor centred = data - mean(data, {-1}, true);
  return centred * rsqrt(add(mean(square(centred), {-1}, true), cast(eps, data.dtype())));
}

namespace {

LazyTensor up(const LazyTensor& x) { return cast(x, compute_dtype(x)); }

LazyTensor row_mean(const LazyTensor& x) { return mean(x, {-1}, true); }

Outputs define_softmax_backward(const DefinitionRequest& r) {
  namespace in = operand::softmax_backward;
  const LazyTensor y = up(r.in(in::y)), g = up(r.in(in::g));
  const int axis = static_cast<int>(r.attrs[attr::softmax_backward::axis]);
  return {cast((g - sum(g * y, {axis}, true)) * y, r.in(in::y).dtype())};
}

Outputs define_scaled_softmax(const DefinitionRequest& r) {
  namespace in = operand::scaled_softmax;
  const LazyTensor x = up(r.in(in::x));
  const LazyTensor y = softmax(mul(x, cast(r.in(in::pre), x.dtype())), static_cast<int>(r.attrs[attr::scaled_softmax::axis]));
  return {cast(mul(y, cast(r.in(in::post), x.dtype())), r.in(in::x).dtype())};
}

Outputs define_rms_norm(const DefinitionRequest& r) {
  namespace in = operand::rms_norm;
  return {cast(mul(divided_by_rms(r.in(in::x), r.in(in::eps)), up(r.in(in::weight))), r.in(in::x).dtype())};
}

// With r = 1/sqrt(mean(x^2) + eps), h = x r and u = g weight: r (u - h mean(u h)).
Outputs define_rms_norm_backward(const DefinitionRequest& r) {
  namespace in = operand::rms_norm_backward;
  const LazyTensor x = up(r.in(in::x)), u = up(r.in(in::g)) * up(r.in(in::weight));
  const LazyTensor scale = rsqrt(add(row_mean(square(x)), cast(r.in(in::eps), x.dtype())));
  const LazyTensor h = x * scale;
  return {cast((u - h * row_mean(u * h)) * scale, r.in(in::x).dtype())};
}

Outputs define_layer_norm(const DefinitionRequest& r) {
  namespace in = operand::layer_norm;
  return {cast(standardised(r.in(in::x), r.in(in::eps)) * up(r.in(in::weight)) + up(r.in(in::bias)), r.in(in::x).dtype())};
}

// With r = 1/sqrt(var + eps), h = (x - mean) r and u = g weight: r (u - mean(u) - h mean(u h)).
Outputs define_layer_norm_backward(const DefinitionRequest& r) {
  namespace in = operand::layer_norm_backward;
  const LazyTensor x = up(r.in(in::x)), u = up(r.in(in::g)) * up(r.in(in::weight));
  const LazyTensor centred = x - row_mean(x);
  const LazyTensor scale = rsqrt(add(row_mean(square(centred)), cast(r.in(in::eps), x.dtype())));
  const LazyTensor h = centred * scale;
  return {cast((u - row_mean(u) - h * row_mean(u * h)) * scale, r.in(in::x).dtype())};
}

Outputs define_group_norm(const DefinitionRequest& r) {
  namespace in = operand::group_norm;
  const LazyTensor& x = r.in(in::x);
  const int64_t batch = x.shape()[0], channels = x.shape()[1], groups = r.attrs[attr::group_norm::groups];
  const int64_t row = batch * channels == 0 ? 0 : x.numel() / (batch * groups);
  const LazyTensor rows = standardised(reshape(x, {batch, groups, row}), r.in(in::eps));
  Shape per_channel{channels};
  for (int i = 2; i < x.rank(); ++i) per_channel.push_back(1);
  const LazyTensor weight = reshape(up(r.in(in::weight)), per_channel), bias = reshape(up(r.in(in::bias)), per_channel);
  return {cast(reshape(rows, x.shape()) * weight + bias, x.dtype())};
}

/// Targets with ignored rows pointing at class 0, and which rows count.
struct Labels {
  LazyTensor targets, counted;
  Labels(const LazyTensor& t, int64_t ignore) {
    counted = not_equal(t, LazyTensor::scalar_int(ignore, t.dtype()));
    targets = where(counted, t, LazyTensor::zeros({}, t.dtype()));
  }
};

Outputs define_cross_entropy(const DefinitionRequest& r) {
  namespace in = operand::cross_entropy;
  const LazyTensor x = up(r.in(in::logits)), smoothing = cast(r.in(in::smoothing), x.dtype());
  const Labels labels(r.in(in::targets), r.attrs[attr::cross_entropy::ignore_index]);
  const int last[] = {-1};
  const LazyTensor lse = logsumexp(x, last);
  const LazyTensor hit = squeeze(take_along(x, unsqueeze(labels.targets, -1), -1), -1);
  const LazyTensor loss = sub(constant(x, 1), smoothing) * (lse - hit) + smoothing * (lse - mean(x, last));
  return {where(labels.counted, loss, constant(x, 0)), lse};
}

Outputs define_cross_entropy_backward(const DefinitionRequest& r) {
  namespace in = operand::cross_entropy_backward;
  const LazyTensor x = up(r.in(in::logits)), smoothing = cast(r.in(in::smoothing), x.dtype());
  const Labels labels(r.in(in::targets), r.attrs[attr::cross_entropy_backward::ignore_index]);
  const int64_t classes = x.shape().back();
  const LazyTensor p = exp(x - unsqueeze(r.in(in::lse), -1));
  const LazyTensor hits = one_hot(labels.targets, classes, x.dtype());
  const LazyTensor wanted = hits * sub(constant(x, 1), smoothing) + div(smoothing, constant(x, static_cast<double>(classes)));
  const LazyTensor d = unsqueeze(r.in(in::g), -1) * (p - wanted);
  return {cast(where(unsqueeze(labels.counted, -1), d, constant(x, 0)), r.in(in::logits).dtype())};
}

Outputs define_linear_cross_entropy(const DefinitionRequest& r) {
  namespace in = operand::linear_cross_entropy;
  const LazyTensor x = up(r.in(in::x)), w = up(r.in(in::w));
  const bool transposed = r.attrs[attr::linear_cross_entropy::transpose_w] != 0;
  Attrs attrs;
  attrs[attr::cross_entropy::ignore_index] = r.attrs[attr::linear_cross_entropy::ignore_index];
  LazyTensor logits = matmul(x, w, false, transposed), slope;
  if (r.attrs[attr::linear_cross_entropy::softcap] != 0) {
    const Capped c = capped(logits, cast(r.in(in::softcap), x.dtype()));
    logits = c.value;
    slope = c.slope;
  }
  const LazyTensor &targets = r.in(in::targets), &smoothing = r.in(in::smoothing);
  const LazyTensor operands[] = {logits, targets, smoothing};
  const auto rows = record_all(Op::cross_entropy, operands, attrs);
  const LazyTensor each = LazyTensor::full(rows[0].shape(), 1, rows[0].dtype());
  LazyTensor g = record(Op::cross_entropy_backward, {logits, targets, smoothing, rows[1], each}, attrs);
  if (slope.defined()) g = g * slope;
  return {rows[0], rows[1], cast(matmul(g, w, false, !transposed), r.in(in::x).dtype())};
}

Outputs define_linear(const DefinitionRequest& r) {
  namespace in = operand::linear;
  LazyTensor y = matmul(r.in(in::x), r.in(in::w), false, r.attrs[attr::linear::transpose_w] != 0);
  for (size_t k = in::w + 1; k < r.inputs.size(); ++k) y = y + r.in(k);
  return {r.attrs[attr::linear::activation] == 0 ? y : record(static_cast<Op>(r.attrs[attr::linear::activation]), {y})};
}

Outputs define_quantized_linear(const DefinitionRequest& r) {
  const auto format = static_cast<QuantFormatId>(r.attrs[attr::quantized_linear::format]);
  const size_t stored = stored_parts(r.attrs, r.inputs.size());
  LazyTensor y = matmul(r.in(0), dequantize(r.inputs.subspan(1, stored), format, r.in(0).dtype()), false, true);
  for (size_t k = 1 + stored; k < r.inputs.size(); ++k) y = y + r.in(k);
  return {r.attrs[attr::quantized_linear::activation] == 0 ? y : record(static_cast<Op>(r.attrs[attr::quantized_linear::activation]), {y})};
}

Outputs define_gated_linear(const DefinitionRequest& r) {
  namespace in = operand::gated_linear;
  const bool transposed = r.attrs[attr::gated_linear::transpose_w] != 0;
  const LazyTensor gate = matmul(r.in(in::x), r.in(in::w_gate), false, transposed),
                   up = matmul(r.in(in::x), r.in(in::w_up), false, transposed);
  return {record(static_cast<Op>(r.attrs[attr::gated_linear::activation]), {gate}) * up};
}

/// Batch entries without an adapter take the first one's factors times 0.
Outputs define_lora_rows(const DefinitionRequest& r) {
  namespace in = operand::lora_rows;
  const LazyTensor x = up(r.in(in::x));
  const LazyTensor none = LazyTensor::scalar_int(0, r.in(in::choice).dtype()), chosen = maximum(r.in(in::choice), none);
  const LazyTensor counted = cast(greater_equal(r.in(in::choice), none), x.dtype());
  const LazyTensor scales = gather(cast(r.in(in::scales), x.dtype()), chosen) * counted;
  const LazyTensor low = matmul(x, gather(up(r.in(in::a)), chosen), false, true) * reshape(scales, {x.dim(0), 1, 1});
  const LazyTensor y = cast(matmul(low, gather(up(r.in(in::b)), chosen), false, true), r.in(in::x).dtype());
  return {r.inputs.size() > in::base ? r.in(in::base) + y : y};
}

Outputs define_rope_pair(const DefinitionRequest& r) {
  namespace in = operand::rope_pair;
  Outputs results;
  for (size_t k : {size_t{0}, size_t{1}}) {
    const LazyTensor operands[] = {r.in(k), r.in(in::cos), r.in(in::sin), r.in(in::offset)};
    results.push_back(define_rope({r.attrs, operands})[0]);
  }
  return results;
}

/// The sum of the first two operands and the norm of it by the others.
Outputs define_add_norm(const DefinitionRequest& r, Outputs (*norm)(const DefinitionRequest&)) {
  std::vector<LazyTensor> operands{r.in(0) + r.in(1)};
  operands.insert(operands.end(), r.inputs.begin() + 2, r.inputs.end());
  return {operands[0], norm({r.attrs, operands})[0]};
}
Outputs define_add_rms_norm(const DefinitionRequest& r) { return define_add_norm(r, define_rms_norm); }
Outputs define_add_layer_norm(const DefinitionRequest& r) { return define_add_norm(r, define_layer_norm); }

struct Definition {
  Op op;
  Outputs (*define)(const DefinitionRequest&);
};

constexpr Definition kDefinitions[] = {
    {Op::softmax_backward, define_softmax_backward},
    {Op::scaled_softmax, define_scaled_softmax},
    {Op::rms_norm, define_rms_norm},
    {Op::rms_norm_backward, define_rms_norm_backward},
    {Op::layer_norm, define_layer_norm},
    {Op::layer_norm_backward, define_layer_norm_backward},
    {Op::group_norm, define_group_norm},
    {Op::rope, define_rope},
    {Op::sdpa, define_sdpa},
    {Op::sdpa_backward, define_sdpa_backward},
    {Op::cross_entropy, define_cross_entropy},
    {Op::cross_entropy_backward, define_cross_entropy_backward},
    {Op::linear_cross_entropy, define_linear_cross_entropy},
    {Op::linear, define_linear},
    {Op::quantized_linear, define_quantized_linear},
    {Op::gated_linear, define_gated_linear},
    {Op::lora_rows, define_lora_rows},
    {Op::rope_pair, define_rope_pair},
    {Op::add_rms_norm, define_add_rms_norm},
    {Op::add_layer_norm, define_add_layer_norm},
};

const Definition* find_definition(Op op) {
  const auto* found = std::find_if(std::begin(kDefinitions), std::end(kDefinitions), [&](const Definition& d) { return d.op == op; });
  return found == std::end(kDefinitions) ? nullptr : found;
}

}  // namespace

bool has_definition(Op op) { return find_definition(op) != nullptr; }

Outputs define(Op op, const DefinitionRequest& r) {
  const Definition* found = find_definition(op);
  if (found == nullptr) throw GraphError(fmt::format("[{}] there is no definition in primitive ops", name_of(op)));
  return found->define(r);
}

void vjp_through_definition(VjpContext& c, size_t first, size_t last) {
  std::vector<LazyTensor> operands(c.inputs.begin(), c.inputs.end()), sought;
  std::vector<size_t> which;
  for (size_t k = first; k < std::min(last, operands.size()); ++k) {
    if (!c.need(k)) continue;
    operands[k] = alias(operands[k]);
    sought.push_back(operands[k]);
    which.push_back(k);
  }
  if (which.empty()) return;
  const Outputs outputs = define(c.op, {c.attrs, operands});
  const std::vector<LazyTensor> grads = run_vjp(outputs, sought, c.cotangents, {.cut = true});
  for (size_t k = 0; k < which.size(); ++k) {
    if (grads[k].defined()) c.set(which[k], grads[k]);
  }
}

void vjp_rules::vjp_by_definition(VjpContext& c) { vjp_through_definition(c, 0, c.inputs.size()); }

}  // namespace lazuli::autograd
