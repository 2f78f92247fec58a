// Shape and dtype rules of reductions, softmax, norms and losses.
#include <fmt/format.h>

#include "graph/attrs.h"
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
  need_min_rank(r, 0, "x", 1);
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
  need_same_dtype(r, 1);
  need_shape(r, 1, "g", r.in(0).shape);
  return infer_softmax(r);
}

Specs infer_scaled_softmax(const Request& r) {
  need_factor(r, 1, "pre");
  need_factor(r, 2, "post");
  return infer_softmax(r);
}

Specs infer_rms_norm(const Request& r) {
  const Shape row{row_shape(r).back()};
  need_same_dtype(r, 1);
  need_shape(r, 1, "weight", row);
  need_factor(r, 2, "eps");
  return {r.in(0)};
}

Specs infer_layer_norm(const Request& r) {
  const Shape row{row_shape(r).back()};
  need_all_same_dtype(r, 3);
  need_shape(r, 1, "weight", row);
  need_shape(r, 2, "bias", row);
  need_factor(r, 3, "eps");
  return {r.in(0)};
}

Specs infer_add_rms_norm(const Request& r) {
  const Shape row{row_shape(r).back()};
  need_all_same_dtype(r, 3);
  need_shape(r, 1, "r", r.in(0).shape);
  need_shape(r, 2, "weight", row);
  need_factor(r, 3, "eps");
  return {r.in(0), r.in(0)};
}

Specs infer_add_layer_norm(const Request& r) {
  const Shape row{row_shape(r).back()};
  need_all_same_dtype(r, 4);
  need_shape(r, 1, "r", r.in(0).shape);
  need_shape(r, 2, "weight", row);
  need_shape(r, 3, "bias", row);
  need_factor(r, 4, "eps");
  return {r.in(0), r.in(0)};
}

// rms_norm_backward and layer_norm_backward.
Specs infer_same_as_first(const Request& r) {
  const Shape row{row_shape(r).back()};
  need_all_same_dtype(r, 3);
  need_shape(r, 1, "weight", row);
  need_shape(r, 2, "g", r.in(0).shape);
  need_factor(r, 3, "eps");
  return {r.in(0)};
}

Specs infer_group_norm(const Request& r) {
  need_float(r, 0);
  need_min_rank(r, 0, "x", 2);
  need_all_same_dtype(r, 3);
  const int64_t channels = r.in(0).shape[1];
  need_shape(r, 1, "weight", {channels});
  need_shape(r, 2, "bias", {channels});
  need_factor(r, 3, "eps");
  const int64_t groups = r.attrs[attr::group_norm::groups];
  if (groups < 1 || channels % groups != 0) fail_value(r, fmt::format("{} channels do not divide into {} groups", channels, groups));
  return {r.in(0)};
}

Specs infer_cross_entropy(const Request& r) {
  const Shape& x = row_shape(r);
  const Shape rows = prefix(x, x.rank() - 1);
  need_index(r, 1, "targets");
  need_shape(r, 1, "targets", rows);
  need_factor(r, 2, "smoothing");
  if (x.back() == 0 && rows.numel() != 0) fail_shape(r, fmt::format("logits {} have no classes", to_string(x)));
  const DType t = statistics_dtype(r);
  return {{t, rows}, {t, rows}};
}

Specs infer_cross_entropy_backward(const Request& r) {
  const Specs forward = infer_cross_entropy(r);
  for (size_t k : {size_t{3}, size_t{4}}) {
    need_shape(r, k, k == 3 ? "lse" : "g", forward[0].shape);
    if (r.in(k).dtype != forward[0].dtype) {
      fail_dtype(r, fmt::format("operand {}: {} is expected, got {}", k, name_of(forward[0].dtype), name_of(r.in(k).dtype)));
    }
  }
  return {r.in(0)};
}

Specs infer_dropout(const Request& r) {
  need_float(r, 0);
  need_factor(r, 1, "probability");
  need_rank(r, 2, "seed", 0);
  if (r.in(2).dtype != DType::i64) fail_dtype(r, fmt::format("seed: i64 is expected, got {}", name_of(r.in(2).dtype)));
  return {r.in(0)};
}

Specs infer_sample(const Request& r) {
  need_float(r, 0);
  const Shape& logits = r.in(0).shape;
  if (logits.rank() != 2) need_rank(r, 0, "logits", 1);
  const int64_t n = logits[logits.rank() - 1];
  const Shape rows = prefix(logits, logits.rank() - 1);
  // The sum of as many masses fits 64 bits.
  if (n < 1 || n > int64_t{1} << 23) fail_shape(r, fmt::format("1 to {} logits are expected, got {}", int64_t{1} << 23, n));
  const Shape& ids = r.in(1).shape;
  need_rank(r, 1, "ids", logits.rank());
  if (prefix(ids, ids.rank() - 1) != rows)
    fail_shape(r, fmt::format("ids {} must have the rows of logits {}", to_string(ids), to_string(logits)));
  Shape four = ids;
  four[ids.rank() - 1] = 4;
  const auto need_dtype = [&](size_t k, const char* what, DType dtype) {
    if (r.in(k).dtype != dtype) fail_dtype(r, fmt::format("{}: {} is expected, got {}", what, name_of(dtype), name_of(r.in(k).dtype)));
  };
  need_dtype(1, "ids", DType::i32);
  need_shape(r, 2, "length", rows);
  need_index(r, 2, "length");
  need_shape(r, 3, "rules", four);
  need_dtype(3, "rules", DType::f32);
  need_shape(r, 4, "counts", four);
  need_dtype(4, "counts", DType::i64);
  return {{DType::i32, rows}};
}

Specs infer_adamw(const Request& r) {
  constexpr size_t kNumbers = 7;
  if (r.inputs.size() % 4 != 3) {
    fail_value(r, fmt::format("4 operands for each parameter and {} numbers are expected, got {}", kNumbers, r.inputs.size()));
  }
  const size_t first_number = r.inputs.size() - kNumbers;
  static constexpr const char* kData[] = {"parameter", "gradient", "m", "v"};
  static constexpr const char* kNames[] = {"rate", "beta1", "beta2", "eps", "decay", "step", "gradient factor"};
  Specs results;
  for (size_t first = 0; first < first_number; first += 4) {
    for (size_t k = 0; k < 4; ++k) {
      need_float(r, first + k);
      need_shape(r, first + k, kData[k], r.in(first).shape);
      if (r.in(first + k).dtype != r.in(k).dtype) {
        fail_dtype(r, fmt::format("{}: {} is expected as in the first parameter, got {}", kData[k], name_of(r.in(k).dtype),
                                  name_of(r.in(first + k).dtype)));
      }
    }
    for (size_t k : {size_t{0}, size_t{2}, size_t{3}}) results.push_back(r.in(first + k));
  }
  for (size_t k = 0; k < kNumbers; ++k) {
    if (k != 5) need_factor(r, first_number + k, kNames[k]);
  }
  const size_t step = first_number + 5;
  need_rank(r, step, "step", 0);
  if (r.in(step).dtype != DType::i32) fail_dtype(r, fmt::format("step: i32 is expected, got {}", name_of(r.in(step).dtype)));
  return results;
}

}  // namespace lazuli::shape_rules
