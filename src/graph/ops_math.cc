// Implements the recording functions of reductions, matrix products, softmax, norms, attention, losses and AdamW.
#include <fmt/format.h>

#include "graph/attention_operands.h"
#include "graph/attrs.h"
#include "graph/ops_common.h"
#include "lazuli/error.h"
#include "lazuli/op.h"

namespace lazuli {

namespace {

using ops::factor;
using ops::to_dtype;
using ops::to_float;
using ops::to_index;
using ops::to_number;

LazyTensor reduce(Op op, const LazyTensor& x, std::span<const int> axes, bool keepdims, Where where, int correction = 0) {
  // A scalar is reduced as a row of one element.
  if (x.rank() == 0 && axes.empty()) {
    const int first = 0;
    return reduce(op, reshape(x, {1}, where), {&first, 1}, false, where, correction);
  }
  Attrs attrs;
  for (int a : axes) {
    const int64_t bit = int64_t{1} << normalize_axis(name_of(op), a, x.rank());
    if ((attrs[attr::sum::axes] & bit) != 0) throw ValueError(fmt::format("[{}] axis {} is named twice", name_of(op), a));
    attrs[attr::sum::axes] |= bit;
  }
  if (axes.empty()) attrs[attr::sum::axes] = (int64_t{1} << x.rank()) - 1;
  attrs[attr::sum::keepdims] = keepdims ? 1 : 0;
  attrs[attr::var::correction] = correction;
  return record(op, {x}, attrs, nullptr, where);
}

Attrs axis_attr(Op op, int axis, int rank) {
  Attrs attrs;
  attrs[attr::softmax::axis] = normalize_axis(name_of(op), axis, rank);
  return attrs;
}

DType promote_all(std::initializer_list<const LazyTensor*> operands) {
  DType t = (*operands.begin())->dtype();
  for (const LazyTensor* x : operands) t = promote(t, x->dtype());
  return t;
}

DType promote_float(std::initializer_list<const LazyTensor*> operands) {
  const DType t = promote_all(operands);
  return is_float(t) ? t : DType::f32;
}

}  // namespace

LazyTensor sum(const LazyTensor& x, std::span<const int> axes, bool keepdims, Where where) {
  // Eight bits hold few sums.
  const LazyTensor wide = size_of(x.dtype()) == 1 ? to_dtype(x, DType::i32, where) : x;
  return reduce(Op::sum, wide, axes, keepdims, where);
}
LazyTensor mean(const LazyTensor& x, std::span<const int> axes, bool keepdims, Where where) {
  return reduce(Op::mean, to_float(x, where), axes, keepdims, where);
}
LazyTensor max(const LazyTensor& x, std::span<const int> axes, bool keepdims, Where where) {
  return reduce(Op::max, to_number(x, where), axes, keepdims, where);
}
LazyTensor min(const LazyTensor& x, std::span<const int> axes, bool keepdims, Where where) {
  return reduce(Op::min, to_number(x, where), axes, keepdims, where);
}
LazyTensor logsumexp(const LazyTensor& x, std::span<const int> axes, bool keepdims, Where where) {
  return reduce(Op::logsumexp, to_float(x, where), axes, keepdims, where);
}
LazyTensor var(const LazyTensor& x, std::span<const int> axes, bool keepdims, int correction, Where where) {
  return reduce(Op::var, to_float(x, where), axes, keepdims, where, correction);
}
LazyTensor argmax(const LazyTensor& x, int axis, bool keepdims, Where where) {
  return reduce(Op::argmax, to_number(x, where), {&axis, 1}, keepdims, where);
}

LazyTensor matmul(const LazyTensor& a, const LazyTensor& b, bool transpose_a, bool transpose_b, Where where) {
  if (a.rank() == 0 || b.rank() == 0) {
    throw ShapeError(
        fmt::format("[matmul] shapes {} and {}: at least 1 dimension is expected", to_string(a.shape()), to_string(b.shape())));
  }
  DType t = promote(a.dtype(), b.dtype());
  if (t == DType::boolean) t = DType::i32;
  const bool row = a.rank() == 1, column = b.rank() == 1;
  const LazyTensor left = row ? unsqueeze(a, 0, where) : a;
  const LazyTensor right = column ? unsqueeze(b, 1, where) : b;
  Attrs attrs;
  attrs[attr::matmul::transpose_a] = transpose_a && !row ? 1 : 0;
  attrs[attr::matmul::transpose_b] = transpose_b && !column ? 1 : 0;
  LazyTensor out = record(Op::matmul, {to_dtype(left, t, where), to_dtype(right, t, where)}, attrs, nullptr, where);
  if (column) out = squeeze(out, -1, where);
  if (row) out = squeeze(out, column ? -1 : -2, where);
  return out;
}

LazyTensor softmax(const LazyTensor& x, int axis, Where where) {
  return record(Op::softmax, {to_float(x, where)}, axis_attr(Op::softmax, axis, x.rank()), nullptr, where);
}
LazyTensor log_softmax(const LazyTensor& x, int axis, Where where) {
  return record(Op::log_softmax, {to_float(x, where)}, axis_attr(Op::log_softmax, axis, x.rank()), nullptr, where);
}

LazyTensor rms_norm(const LazyTensor& x, const LazyTensor& weight, const ScalarArg& eps, Where where) {
  const LazyTensor data = to_float(x, where);
  return record(Op::rms_norm, {data, to_dtype(weight, data.dtype(), where), factor(eps, data.dtype())}, {}, nullptr, where);
}
LazyTensor layer_norm(const LazyTensor& x, const LazyTensor& weight, const LazyTensor& bias, const ScalarArg& eps, Where where) {
  const LazyTensor data = to_float(x, where);
  const DType t = data.dtype();
  return record(Op::layer_norm, {data, to_dtype(weight, t, where), to_dtype(bias, t, where), factor(eps, t)}, {}, nullptr, where);
}
LazyTensor group_norm(const LazyTensor& x, int groups, const LazyTensor& weight, const LazyTensor& bias, const ScalarArg& eps,
                      Where where) {
  const LazyTensor data = to_float(x, where);
  const DType t = data.dtype();
  Attrs attrs;
  attrs[attr::group_norm::groups] = groups;
  return record(Op::group_norm, {data, to_dtype(weight, t, where), to_dtype(bias, t, where), factor(eps, t)}, attrs, nullptr, where);
}

LazyTensor rope(const LazyTensor& x, const LazyTensor& cos, const LazyTensor& sin, const LazyTensor& offset, Where where) {
  return record(Op::rope, {to_float(x, where), cos, sin, ops::to_i32_by_row(offset, 0, where)}, {}, nullptr, where);
}

LazyTensor scaled_dot_product_attention(const LazyTensor& q, const LazyTensor& k, const LazyTensor& v, const ScalarArg& scale,
                                        const AttentionOptions& options, Where where) {
  const DType t = promote_float({&q, &k, &v});
  const bool paged = options.blocks.defined() && options.blocks.rank() == 2;
  const int64_t keys = (k.rank() >= 2 ? k.dim(-2) : 0) * (paged ? options.blocks.dim(1) : 1);
  std::vector<LazyTensor> operands{to_dtype(q, t, where), to_dtype(k, t, where), to_dtype(v, t, where), factor(scale, t),
                                   ops::to_i32_by_row(options.length, keys, where)};
  std::vector<AttentionPart> parts;
  const auto add = [&](AttentionPart part, const LazyTensor& operand) {
    if (!operand.defined()) return;
    parts.push_back(part);
    operands.push_back(operand);
  };
  add(AttentionPart::mask, options.mask);
  if (options.softcap) add(AttentionPart::softcap, factor(*options.softcap, t));
  if (options.sinks.defined()) add(AttentionPart::sinks, to_dtype(options.sinks, t == DType::f64 ? t : DType::f32, where));
  if (options.first_key.defined()) add(AttentionPart::first_key, to_dtype(options.first_key, DType::i32, where));
  if (options.blocks.defined()) add(AttentionPart::blocks, to_dtype(options.blocks, DType::i32, where));
  Attrs attrs;
  set_attention(attrs, options.causal, options.window_left, options.window_right, parts);
  return record_all(Op::sdpa, operands, attrs, nullptr, {}, where)[0];
}

LazyTensor scaled_dot_product_attention_packed(const LazyTensor& q, const LazyTensor& k, const LazyTensor& v, const ScalarArg& scale,
                                               const LazyTensor& starts, bool causal, int64_t window_left, int64_t window_right,
                                               Where where) {
  const DType t = promote_float({&q, &k, &v});
  Attrs attrs;
  set_attention(attrs, causal, window_left, window_right, {});
  return record(Op::sdpa_packed, {to_dtype(q, t, where), to_dtype(k, t, where), to_dtype(v, t, where), factor(scale, t), starts}, attrs,
                nullptr, where);
}

LazyTensor cross_entropy(const LazyTensor& logits, const LazyTensor& targets, const CrossEntropyOptions& options, Where where) {
  const LazyTensor x = to_float(logits, where);
  const LazyTensor labels = to_index(targets, where);
  Attrs attrs;
  attrs[attr::cross_entropy::ignore_index] = options.ignore_index;
  const LazyTensor loss = record(Op::cross_entropy, {x, labels, factor(options.label_smoothing, x.dtype())}, attrs, nullptr, where);
  if (options.reduction == Reduction::none) return loss;
  const LazyTensor total = sum(loss, {}, false, where);
  if (options.reduction == Reduction::sum) return total;
  const LazyTensor counted = not_equal(labels, LazyTensor::scalar_int(options.ignore_index, labels.dtype()), where);
  const LazyTensor count = sum(cast(counted, loss.dtype(), where), {}, false, where);
  return div(total, maximum(count, LazyTensor::full({}, 1, loss.dtype()), where), where);
}

LazyTensor dropout(const LazyTensor& x, const ScalarArg& probability, const LazyTensor& seed, Where where) {
  const LazyTensor data = to_float(x, where);
  if (!probability.value.defined()) {
    if (!(probability.number >= 0 && probability.number < 1)) {
      throw ValueError(fmt::format("[dropout] a probability in [0, 1) is expected, got {}", probability.number));
    }
    if (probability.number == 0) return data;
  }
  return record(Op::dropout, {data, factor(probability, data.dtype()), to_dtype(seed, DType::i64, where)}, {}, nullptr, where);
}

LazyTensor lora_fused(const LazyTensor& x, const LazyTensor& a, const LazyTensor& b, const ScalarArg& scale, bool transposed, Where where) {
  const DType t = promote_float({&x, &a, &b});
  Attrs attrs;
  attrs[attr::lora_fused::transpose_a] = attrs[attr::lora_fused::transpose_b] = transposed ? 1 : 0;
  return record(Op::lora_fused, {to_dtype(x, t, where), to_dtype(a, t, where), to_dtype(b, t, where), factor(scale, t)}, attrs, nullptr,
                where);
}

LazyTensor lora_linear(const LazyTensor& x, const LazyTensor& w, const LazyTensor& a, const LazyTensor& b, const ScalarArg& scale,
                       const LazyTensor& bias, bool transposed, Where where) {
  const DType t = promote_float({&x, &w, &a, &b});
  Attrs attrs;
  attrs[attr::lora_linear::transpose_a] = attrs[attr::lora_linear::transpose_b] = attrs[attr::lora_linear::transpose_w] =
      transposed ? 1 : 0;
  const LazyTensor operands[] = {to_dtype(x, t, where), to_dtype(w, t, where), to_dtype(a, t, where),
                                 to_dtype(b, t, where), factor(scale, t),      bias.defined() ? to_dtype(bias, t, where) : LazyTensor()};
  return record_all(Op::lora_linear, std::span(operands).first(bias.defined() ? 6 : 5), attrs, nullptr, {}, where)[0];
}

LazyTensor quantized_linear(const LazyTensor& x, std::span<const LazyTensor> parts, QuantFormatId format, const LazyTensor& bias,
                            Where where) {
  const LazyTensor data = to_float(x, where);
  Attrs attrs;
  attrs[attr::quantized_linear::format] = static_cast<int64_t>(format);
  attrs[attr::quantized_linear::with] = bias.defined() ? 1 : 0;
  std::array<LazyTensor, 2 + kMostQuantParts> operands{data};
  size_t count = 1;
  for (const LazyTensor& part : parts.first(std::min(parts.size(), kMostQuantParts))) operands[count++] = part;
  if (bias.defined()) operands[count++] = to_dtype(bias, data.dtype(), where);
  return record_all(Op::quantized_linear, std::span(operands).first(count), attrs, nullptr, {}, where)[0];
}

LazyTensor lora_rows(const LazyTensor& x, const LazyTensor& a, const LazyTensor& b, const LazyTensor& scales, const LazyTensor& choice,
                     const LazyTensor& base, Where where) {
  const DType t = promote_float({&x, &a, &b});
  const LazyTensor operands[] = {to_dtype(x, t, where),
                                 to_dtype(a, t, where),
                                 to_dtype(b, t, where),
                                 to_dtype(scales, t == DType::f64 ? t : DType::f32, where),
                                 to_dtype(choice, DType::i32, where),
                                 base.defined() ? to_dtype(base, t, where) : LazyTensor()};
  return record_all(Op::lora_rows, std::span(operands).first(base.defined() ? 6 : 5), {}, nullptr, {}, where)[0];
}

AdamWResult adamw(const LazyTensor& parameter, const LazyTensor& gradient, const LazyTensor& m, const LazyTensor& v, const AdamWArgs& args,
                  Where where) {
  const LazyTensor operands[] = {parameter,  gradient, m,          v,         args.rate,           args.beta1,
                                 args.beta2, args.eps, args.decay, args.step, args.gradient_factor};
  auto out = record_all(Op::adamw, operands, {}, nullptr, {}, where);
  return {std::move(out[0]), std::move(out[1]), std::move(out[2])};
}

}  // namespace lazuli
