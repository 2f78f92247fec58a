// Shape and dtype rules of reductions, softmax, norms and losses.
#include <fmt/format.h>

#include "graph/attrs.h"
#include "graph/operands.h"
#include "graph/shape_rules_check.h"
#include "lazuli/op.h"

namespace lazuli::shape_rules {

namespace {

Shape reduced(const Request& r) {
  const Shape& x = r.in(0).shape;
  const int64_t mask = r.attrs[attr::sum::axes];
  if (mask < 0 || (mask >> x.rank()) != 0) fail_shape(r, fmt::format("axes {:#x} are out of range for {} dimensions", mask, x.rank()));
  Shape out;
  for (int i = 0; i < x.rank(); ++i) {
    if (((mask >> i) & 1) == 0) {
      out.push_back(x[i]);
    } else if (r.attrs[attr::sum::keepdims] != 0) {
      out.push_back(1);
    }
  }
  return out;
}

/// Reductions without a neutral element need something to reduce, wherever they have results.
void need_elements(const Request& r, const Shape& out) {
  if (r.in(0).shape.numel() == 0 && out.numel() != 0) {
    fail_shape(r, fmt::format("shape {} has no elements to reduce", to_string(r.in(0).shape)));
  }
}

const Shape& row_shape(const Request& r) {
  need_float(r, 0);
  need_min_rank(r, 0, 1);
  return r.in(0).shape;
}

}  // namespace

Specs infer_reduce(const Request& r) {
  need_number(r, 0);
  const Shape out = reduced(r);
  if (r.op != Op::sum) need_elements(r, out);
  return {{r.in(0).dtype, out}};
}

Specs infer_reduce_float(const Request& r) {
  need_float(r, 0);
  if (r.op == Op::var && r.attrs[attr::var::correction] != 0 && r.attrs[attr::var::correction] != 1) {
    fail_value(r, fmt::format("a correction of 0 or 1 is expected, got {}", r.attrs[attr::var::correction]));
  }
  return {{r.in(0).dtype, reduced(r)}};
}

Specs infer_argmax(const Request& r) {
  need_number(r, 0);
  const Shape out = reduced(r);
  if (__builtin_popcountll(static_cast<unsigned long long>(r.attrs[attr::argmax::axes])) != 1) fail_value(r, "one axis is expected");
  need_elements(r, out);
  return {{DType::i32, out}};
}

Specs infer_softmax(const Request& r) {
  need_float(r, 0);
  need_axis(r, r.attrs[attr::softmax::axis], r.in(0).shape.rank());
  return {r.in(0)};
}

Specs infer_softmax_backward(const Request& r) {
  need_same_dtype(r, operand::softmax_backward::g);
  need_shape(r, operand::softmax_backward::g, r.in(0).shape);
  return infer_softmax(r);
}

Specs infer_scaled_softmax(const Request& r) {
  need_factor(r, operand::scaled_softmax::pre);
  need_factor(r, operand::scaled_softmax::post);
  return infer_softmax(r);
}

Specs infer_rms_norm(const Request& r) {
  namespace in = operand::rms_norm;
  const Shape row{row_shape(r).back()};
  need_same_dtype(r, in::weight);
  need_shape(r, in::weight, row);
  need_factor(r, in::eps);
  return {r.in(0)};
}

Specs infer_layer_norm(const Request& r) {
  namespace in = operand::layer_norm;
  const Shape row{row_shape(r).back()};
  need_all_same_dtype(r, 3);
  need_shape(r, in::weight, row);
  need_shape(r, in::bias, row);
  need_factor(r, in::eps);
  return {r.in(0)};
}

Specs infer_add_rms_norm(const Request& r) {
  namespace in = operand::add_rms_norm;
  const Shape row{row_shape(r).back()};
  need_all_same_dtype(r, 3);
  need_shape(r, in::r, r.in(0).shape);
  need_shape(r, in::weight, row);
  need_factor(r, in::eps);
  return {r.in(0), r.in(0)};
}

Specs infer_add_layer_norm(const Request& r) {
  namespace in = operand::add_layer_norm;
  const Shape row{row_shape(r).back()};
  need_all_same_dtype(r, 4);
  need_shape(r, in::r, r.in(0).shape);
  need_shape(r, in::weight, row);
  need_shape(r, in::bias, row);
  need_factor(r, in::eps);
  return {r.in(0), r.in(0)};
}

// rms_norm_backward and layer_norm_backward.
Specs infer_same_as_first(const Request& r) {
  namespace in = operand::rms_norm_backward;
  const Shape row{row_shape(r).back()};
  need_all_same_dtype(r, 3);
  need_shape(r, in::weight, row);
  need_shape(r, in::g, r.in(0).shape);
  need_factor(r, in::eps);
  return {r.in(0)};
}

Specs infer_group_norm(const Request& r) {
  namespace in = operand::group_norm;
  need_float(r, 0);
  need_min_rank(r, in::x, 2);
  need_all_same_dtype(r, 3);
  const int64_t channels = r.in(0).shape[1];
  need_shape(r, in::weight, {channels});
  need_shape(r, in::bias, {channels});
  need_factor(r, in::eps);
  const int64_t groups = r.attrs[attr::group_norm::groups];
  if (groups < 1 || channels % groups != 0) fail_value(r, fmt::format("{} channels do not divide into {} groups", channels, groups));
  return {r.in(0)};
}

Specs infer_cross_entropy(const Request& r) {
  namespace in = operand::cross_entropy;
  const Shape& x = row_shape(r);
  const Shape rows = prefix(x, x.rank() - 1);
  need_index(r, in::targets);
  need_shape(r, in::targets, rows);
  need_factor(r, in::smoothing);
  if (x.back() == 0 && rows.numel() != 0) fail_shape(r, fmt::format("logits {} have no classes", to_string(x)));
  const DType t = statistics_dtype(r);
  return {{t, rows}, {t, rows}};
}

Specs infer_cross_entropy_backward(const Request& r) {
  const Specs forward = infer_cross_entropy(r);
  for (const size_t k : {size_t{operand::cross_entropy_backward::lse}, size_t{operand::cross_entropy_backward::g}}) {
    need_shape(r, k, forward[0].shape);
    if (r.in(k).dtype != forward[0].dtype) {
      fail_dtype(r, fmt::format("operand {}: {} is expected, got {}", k, name_of(forward[0].dtype), name_of(r.in(k).dtype)));
    }
  }
  return {r.in(0)};
}

Specs infer_dropout(const Request& r) {
  namespace in = operand::dropout;
  need_float(r, 0);
  need_factor(r, in::probability);
  need_rank(r, in::seed, 0);
  need_dtype(r, in::seed, DType::i64);
  return {r.in(0)};
}

Specs infer_sample(const Request& r) {
  namespace in = operand::sample;
  need_float(r, 0);
  const Shape& logits = r.in(0).shape;
  if (logits.rank() != 2) need_rank(r, in::logits, 1);
  const int64_t n = logits[logits.rank() - 1];
  const Shape rows = prefix(logits, logits.rank() - 1);
  // The sum of as many masses fits 64 bits.
  if (n < 1 || n > int64_t{1} << 23) fail_shape(r, fmt::format("1 to {} logits are expected, got {}", int64_t{1} << 23, n));
  const Shape& ids = r.in(in::ids).shape;
  need_rank(r, in::ids, logits.rank());
  if (prefix(ids, ids.rank() - 1) != rows)
    fail_shape(r, fmt::format("ids {} must have the rows of logits {}", to_string(ids), to_string(logits)));
  Shape four = ids;
  four[ids.rank() - 1] = 4;
  need_dtype(r, in::ids, DType::i32);
  need_shape(r, in::length, rows);
  need_index(r, in::length);
  need_shape(r, in::rules, four);
  need_dtype(r, in::rules, DType::f32);
  need_shape(r, in::counts, four);
  need_dtype(r, in::counts, DType::i64);
  return {{DType::i32, rows}};
}

Specs infer_adamw(const Request& r) {
  namespace in = operand::adamw;
  // The operands of a parameter repeat; the numbers are those of all parameters.
  constexpr size_t kData = in::rate, kNumbers = in::gradient_factor + 1 - kData;
  if (r.inputs.size() % kData != kNumbers % kData) {
    fail_value(r, fmt::format("{} operands for each parameter and {} numbers are expected, got {}", kData, kNumbers, r.inputs.size()));
  }
  const size_t first_number = r.inputs.size() - kNumbers;
  Specs results;
  for (size_t first = 0; first < first_number; first += kData) {
    for (size_t k = 0; k < kData; ++k) {
      need_float(r, first + k);
      need_shape(r, {first + k, operand_name(r.op, k)}, r.in(first).shape);
      if (r.in(first + k).dtype != r.in(k).dtype) {
        fail_dtype(r, fmt::format("{}: {} is expected as in the first parameter, got {}", operand_name(r.op, k), name_of(r.in(k).dtype),
                                  name_of(r.in(first + k).dtype)));
      }
    }
    for (const size_t k : {size_t{in::parameter}, size_t{in::m}, size_t{in::v}}) results.push_back(r.in(first + k));
  }
  for (size_t k = 0; k < kNumbers; ++k) {
    if (kData + k != in::step) need_factor(r, {first_number + k, operand_name(r.op, kData + k)});
  }
  const Operand step(first_number + in::step - kData, "step");
  need_rank(r, step, 0);
  need_dtype(r, step, DType::i32);
  return results;
}

}  // namespace lazuli::shape_rules
