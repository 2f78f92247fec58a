// Shape and dtype rules of matrix products, LoRA and dequantisation.
#include <fmt/format.h>

#include <string>

#include "graph/attrs.h"
#include "graph/operands.h"
#include "graph/shape_rules_check.h"
#include "lazuli/op.h"
#include "lazuli/quant_format.h"

namespace lazuli::shape_rules {

namespace {

struct Matrix {
  int64_t rows, columns;
};

Matrix matrix(const Shape& s, bool transposed) {
  const int64_t a = s[s.rank() - 2], b = s[s.rank() - 1];
  return transposed ? Matrix{b, a} : Matrix{a, b};
}

/// The format of an attribute; one without kernels is refused.
const QuantFormat& need_format(const Request& r, int64_t value) {
  const bool known = value > 0 && value < kQuantFormatCount;
  if (!known) fail_value(r, fmt::format("{} is no format of a stored weight", value));
  const QuantFormat& f = quant_format(static_cast<QuantFormatId>(value));
  if (!f.has_kernels()) fail_value(r, fmt::format("there are no kernels for weights of the format {}", f.name));
  return f;
}

/// Operand k as one of a stored weight's tensors.
void need_part(const Request& r, size_t k, const QuantPart& part, const Shape& shape) {
  const DType t = r.in(k).dtype;
  if (!part.takes(t)) {
    std::string taken;
    for (int number = 0; number < kDTypeCount; ++number) {
      const auto dtype = static_cast<DType>(number);
      if (part.takes(dtype)) taken += fmt::format("{}{}", taken.empty() ? "" : " or ", name_of(dtype));
    }
    fail_dtype(r, fmt::format("{}: {} is expected, got {}", part.name, taken, name_of(t)));
  }
  need_shape(r, {k, part.name}, shape);
}

/// Operand k as a matrix with `rows` rows; returns its columns.
int64_t need_factor_matrix(const Request& r, size_t k, bool transposed, int64_t rows) {
  need_rank(r, k, 2);
  const Matrix m = matrix(r.in(k).shape, transposed);
  if (m.rows != rows) {
    fail_shape(r, fmt::format("x {} and {} {}{}: inner dimensions differ, {} and {}", to_string(r.in(0).shape), operand_name(r.op, k),
                              to_string(r.in(k).shape), transposed ? " (transposed)" : "", rows, m.rows));
  }
  return m.columns;
}

/// scale * (x@a)@b with a at operand `first`; returns the columns of b.
int64_t lora_columns(const Request& r, size_t first) {
  const int64_t rank = need_factor_matrix(r, first, r.attrs[attr::lora_fused::transpose_a] != 0, r.in(0).shape.back());
  return need_factor_matrix(r, first + 1, r.attrs[attr::lora_fused::transpose_b] != 0, rank);
}

}  // namespace

Specs infer_matmul(const Request& r) {
  namespace in = operand::matmul;
  need_number(r, 0);
  need_same_dtype(r, in::b);
  need_min_rank(r, in::a, 2);
  need_min_rank(r, in::b, 2);
  const Shape &a = r.in(0).shape, &b = r.in(in::b).shape;
  const Matrix left = matrix(a, r.attrs[attr::matmul::transpose_a] != 0), right = matrix(b, r.attrs[attr::matmul::transpose_b] != 0);
  if (left.columns != right.rows) {
    fail_shape(r, fmt::format("shapes {}{} and {}{}: inner dimensions differ", to_string(a),
                              r.attrs[attr::matmul::transpose_a] != 0 ? " (transposed)" : "", to_string(b),
                              r.attrs[attr::matmul::transpose_b] != 0 ? " (transposed)" : ""));
  }
  Shape out = broadcast(r, prefix(a, a.rank() - 2), prefix(b, b.rank() - 2));
  out.push_back(left.rows);
  out.push_back(right.columns);
  return {{r.in(0).dtype, out}};
}

Specs infer_lora_fused(const Request& r) {
  need_float(r, 0);
  need_min_rank(r, operand::lora_fused::x, 1);
  need_all_same_dtype(r, 3);
  need_factor(r, operand::lora_fused::scale);
  return {{r.in(0).dtype, with_last(r.in(0).shape, lora_columns(r, operand::lora_fused::a))}};
}

Specs infer_lora_linear(const Request& r) {
  namespace in = operand::lora_linear;
  need_float(r, 0);
  need_min_rank(r, in::x, 1);
  need_all_same_dtype(r, 4);
  need_factor(r, in::scale);
  const int64_t n = need_factor_matrix(r, in::w, r.attrs[attr::lora_linear::transpose_w] != 0, r.in(0).shape.back());
  if (const int64_t columns = lora_columns(r, in::a); columns != n) {
    fail_shape(
        r, fmt::format("w {} gives {} columns and b {} gives {}", to_string(r.in(in::w).shape), n, to_string(r.in(in::b).shape), columns));
  }
  if (r.inputs.size() == 6) {
    need_same_dtype(r, in::bias);
    need_shape(r, in::bias, {n});
  }
  return {{r.in(0).dtype, with_last(r.in(0).shape, n)}};
}

Specs infer_lora_rows(const Request& r) {
  namespace in = operand::lora_rows;
  need_float(r, 0);
  need_all_same_dtype(r, 3);
  need_ranks(r, 3, 3);
  const Shape &x = r.in(0).shape, &a = r.in(in::a).shape, &b = r.in(in::b).shape;
  if (a[2] != x[2] || b[0] != a[0] || b[2] != a[1]) {
    fail_shape(r, fmt::format("x {}, a {} and b {}: (batch, tokens, k), (adapters, r, k) and (adapters, n, r) are expected", to_string(x),
                              to_string(a), to_string(b)));
  }
  need_shape(r, in::scales, {a[0]});
  if (const DType t = r.in(in::scales).dtype; t != DType::f32 && t != DType::f64) {
    fail_dtype(r, fmt::format("scales: f32 or f64 is expected, got {}", name_of(t)));
  }
  need_shape(r, in::choice, {x[0]});
  need_dtype(r, in::choice, DType::i32);
  const Shape out = with_last(x, b[1]);
  if (r.inputs.size() == 6) {
    need_same_dtype(r, in::base);
    need_shape(r, in::base, out);
  }
  return {{r.in(0).dtype, out}};
}

/// An activation is a unary op from floats to floats.
void need_activation(const Request& r, int64_t value) {
  if (value == 0) return;
  const bool known = value > 0 && value < kOpCount;
  const Op op = known ? static_cast<Op>(value) : Op::input;
  const bool fits = info(op).cls == OpClass::unary && op != Op::cast && op != Op::copy && op != Op::logical_not && op != Op::is_finite;
  if (!fits) fail_value(r, fmt::format("an activation is expected, got {}", known ? std::string(name_of(op)) : std::to_string(value)));
}

Specs infer_linear(const Request& r) {
  need_float(r, 0);
  need_activation(r, r.attrs[attr::linear::activation]);
  need_min_rank(r, operand::linear::x, 1);
  need_all_same_dtype(r, r.inputs.size());
  const int64_t parts = r.attrs[attr::linear::with];
  const size_t expected = 2 + static_cast<size_t>(parts & 1) + static_cast<size_t>((parts >> 1) & 1);
  if (parts < 0 || parts > 3 || r.inputs.size() != expected) {
    fail_value(r, fmt::format("{} operands are expected, got {}", expected, r.inputs.size()));
  }
  const int64_t n = need_factor_matrix(r, operand::linear::w, r.attrs[attr::linear::transpose_w] != 0, r.in(0).shape.back());
  const Shape out = with_last(r.in(0).shape, n);
  if ((parts & 1) != 0) need_shape(r, {2, "bias"}, {n});
  if ((parts & 2) != 0) need_shape(r, {expected - 1, "residual"}, out);
  return {{r.in(0).dtype, out}};
}

Specs infer_linear_cross_entropy(const Request& r) {
  namespace in = operand::linear_cross_entropy;
  need_float(r, 0);
  need_min_rank(r, in::x, 2);
  need_same_dtype(r, in::w);
  const Shape& x = r.in(0).shape;
  const int64_t classes = need_factor_matrix(r, in::w, r.attrs[attr::linear_cross_entropy::transpose_w] != 0, x.back());
  const Shape rows = prefix(x, x.rank() - 1);
  need_index(r, in::targets);
  need_shape(r, in::targets, rows);
  need_factor(r, in::smoothing);
  const bool capped = r.attrs[attr::linear_cross_entropy::softcap] != 0;
  if (r.inputs.size() != (capped ? 5U : 4U))
    fail_value(r, fmt::format("{} operands are expected, got {}", capped ? 5 : 4, r.inputs.size()));
  if (capped) need_factor(r, in::softcap);
  if (classes == 0 && rows.numel() != 0) fail_shape(r, fmt::format("w {} has no classes", to_string(r.in(in::w).shape)));
  const DType t = statistics_dtype(r);
  return {{t, rows}, {t, rows}, r.in(0)};
}

Specs infer_quantized_linear(const Request& r) {
  need_float(r, 0);
  need_activation(r, r.attrs[attr::quantized_linear::activation]);
  need_min_rank(r, operand::quantized_linear::x, 1);
  need_rank(r, operand::quantized_linear::values, 2);
  const QuantFormat& f = need_format(r, r.attrs[attr::quantized_linear::format]);
  const int64_t with = r.attrs[attr::quantized_linear::with], n = r.in(operand::quantized_linear::values).shape[0];
  if (r.in(0).shape.back() % f.block != 0) {
    fail_shape(r, fmt::format("x {}: rows do not divide into groups of {}", to_string(r.in(0).shape), f.block));
  }
  const QuantParts parts = parts_of(f, n, r.in(0).shape.back());
  const size_t stored = static_cast<size_t>(parts.count);
  const size_t expected = 1 + stored + static_cast<size_t>(with & 1) + static_cast<size_t>((with >> 1) & 1);
  if (with < 0 || with > 3 || r.inputs.size() != expected) {
    fail_value(r, fmt::format("{} operands are expected, got {}", expected, r.inputs.size()));
  }
  for (size_t k = 0; k < stored; ++k) need_part(r, 1 + k, parts.list[k], parts.list[k].shape);
  const Shape out = with_last(r.in(0).shape, n);
  for (size_t j = 1 + stored; j < expected; ++j) need_same_dtype(r, j);
  if ((with & 1) != 0) need_shape(r, {1 + stored, "bias"}, {n});
  if ((with & 2) != 0) need_shape(r, {expected - 1, "residual"}, out);
  return {{r.in(0).dtype, out}};
}

Specs infer_gated_linear(const Request& r) {
  namespace in = operand::gated_linear;
  need_float(r, 0);
  if (r.attrs[attr::gated_linear::activation] == 0) fail_value(r, "an activation is expected");
  need_activation(r, r.attrs[attr::gated_linear::activation]);
  need_min_rank(r, in::x, 1);
  need_all_same_dtype(r, 3);
  const int64_t n = need_factor_matrix(r, in::w_gate, r.attrs[attr::gated_linear::transpose_w] != 0, r.in(0).shape.back());
  if (const int64_t up = need_factor_matrix(r, in::w_up, r.attrs[attr::gated_linear::transpose_w] != 0, r.in(0).shape.back()); up != n) {
    fail_shape(r, fmt::format("w_gate {} gives {} columns and w_up {} gives {}", to_string(r.in(in::w_gate).shape), n,
                              to_string(r.in(in::w_up).shape), up));
  }
  return {{r.in(0).dtype, with_last(r.in(0).shape, n)}};
}

namespace {

/// Of the parts of a stored weight with any dims in front.
Specs infer_stored(const Request& r, DType to) {
  const QuantFormat& f = need_format(r, r.attrs[attr::dequantize::format]);
  const Shape& values = r.in(0).shape;
  const int64_t unit = parts_of(f, 1, f.block).list[0].shape.back();
  if (values.back() % unit != 0) {
    fail_shape(r, fmt::format("values {}: rows are no blocks of {} bytes of {}", to_string(values), unit, f.name));
  }
  const Shape out = with_last(values, values.back() / unit * f.block);
  const QuantParts parts = parts_of(f, 1, out.back());
  if (r.inputs.size() != static_cast<size_t>(parts.count)) {
    fail_value(r, fmt::format("{} operands are expected, got {}", parts.count, r.inputs.size()));
  }
  for (size_t k = 0; k < r.inputs.size(); ++k) need_part(r, k, parts.list[k], with_last(values, parts.list[k].shape.back()));
  return {{to, out}};
}

}  // namespace

Specs infer_dequantize(const Request& r) {
  namespace in = operand::dequantize;
  need_min_rank(r, in::q, 1);
  const DType to = dtype_attr(r, r.attrs[attr::dequantize::dtype]);
  if (!is_float(to)) fail_dtype(r, fmt::format("a float result is expected, got {}", name_of(to)));
  if (r.attrs[attr::dequantize::format] != 0) return infer_stored(r, to);
  if (r.inputs.size() < 2) fail_value(r, "2 or 3 operands are expected, got 1");
  const DType q = r.in(0).dtype;
  if (q != DType::i8 && q != DType::u8) fail_dtype(r, fmt::format("i8 or u8 is expected, got {}", name_of(q)));
  need_float(r, in::scales);
  const int64_t group = r.attrs[attr::dequantize::group], n = r.in(0).shape.back();
  if (group < 1 || n % group != 0) fail_value(r, fmt::format("rows of {} do not divide into groups of {}", n, group));
  const Shape scales = with_last(r.in(0).shape, n / group);
  need_shape(r, in::scales, scales);
  if (r.inputs.size() == 3) {
    need_shape(r, {in::zero_points, "zero points"}, scales);
    if (r.in(in::zero_points).dtype != r.in(in::scales).dtype) fail_dtype(r, "zero points and scales must have one dtype");
  }
  return {{to, r.in(0).shape}};
}

}  // namespace lazuli::shape_rules
