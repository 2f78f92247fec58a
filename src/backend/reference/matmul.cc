// Matrix products and what is fused with them on the reference backend. A task is one row or one element of the result.
#include "graph/ops/matmul.h"

#include <algorithm>

#include "backend/reference/call.h"
#include "backend/reference/scalar_ops.h"
#include "graph/ops/gated_linear.h"
#include "graph/ops/linear.h"
#include "graph/ops/lora_fused.h"
#include "graph/ops/lora_linear.h"
#include "graph/ops/lora_rows.h"
#include "graph/ops/quantized_linear.h"
#include "graph/stored_parts.h"

namespace lazuli::reference {

namespace {

/// A matrix (the last two axes) of an operand, read as given or transposed.
struct Matrix {
  Matrix(const In& operand, bool transposed, int64_t first = 0)
      : in(operand),
        offset(first),
        rows(operand.dim(transposed ? -1 : -2)),
        columns(operand.dim(transposed ? -2 : -1)),
        row_stride(operand.stride(transposed ? -1 : -2)),
        column_stride(operand.stride(transposed ? -2 : -1)) {}
  Number number(int64_t i, int64_t j) const { return in.number_at(offset + i * row_stride + j * column_stride); }
  double real(int64_t i, int64_t j) const { return number(i, j).as_real(); }
  const In& in;
  int64_t offset, rows, columns, row_stride, column_stride;
};

/// The dims before the last two.
Shape batch_of(const Shape& shape) { return Shape(shape.span().first(static_cast<size_t>(shape.rank() - 2))); }

/// Where matrix number `batch` of the result starts in an operand that broadcasts to it.
int64_t batch_offset(int64_t batch, const Shape& result, const OperandSpec& spec) {
  OperandSpec batches;
  batches.shape = batch_of(spec.shape);
  batches.strides = Strides(spec.strides.span().first(static_cast<size_t>(spec.shape.rank() - 2)));
  const Shape space = batch_of(result);
  return offset_of(batch, space, broadcast_strides(batches, space));
}

Number dot(const Matrix& a, int64_t i, const Matrix& b, int64_t j) {
  double real = 0;
  uint64_t integer = 0;
  const bool reals = is_float(a.in.dtype()) || is_float(b.in.dtype());
  for (int64_t p = 0; p < a.columns; ++p) {
    const Number x = a.number(i, p), y = b.number(p, j);
    if (reals) {
      real += x.as_real() * y.as_real();
    } else {
      integer += static_cast<uint64_t>(x.i) * static_cast<uint64_t>(y.i);
    }
  }
  return reals ? Number::of(real) : Number::of(static_cast<int64_t>(integer));
}

void run_matmul(const Call& call) {
  namespace in = operand::matmul;
  const In a = call.in(in::a), b = call.in(in::b);
  const Out out = call.out();
  const bool transpose_a = call.attr(attr::matmul::transpose_a) != 0, transpose_b = call.attr(attr::matmul::transpose_b) != 0;
  const int64_t m = out.shape()[out.shape().rank() - 2], n = out.shape().back();
  for (int64_t k = call.begin; k < call.end; ++k) {
    const int64_t batch = k / (m * n);
    const Matrix left(a, transpose_a, batch_offset(batch, out.shape(), call.state.inputs[0]));
    const Matrix right(b, transpose_b, batch_offset(batch, out.shape(), call.state.inputs[in::b]));
    out.set(k, dot(left, k / n % m, right, k % n));
  }
}

/// Row `row` of x (..., k) times column j of w.
double row_dot(const In& x, int64_t row, const Matrix& w, int64_t j) {
  double sum = 0;
  for (int64_t p = 0; p < w.rows; ++p) sum += x.real(row * w.rows + p) * w.real(p, j);
  return sum;
}

void run_linear(const Call& call) {
  const In x = call.in(operand::linear::x), weight = call.in(operand::linear::w);
  const Matrix w(weight, call.attr(attr::linear::transpose_w) != 0);
  const bool has_bias = (call.attr(attr::linear::with) & 1) != 0, has_residual = (call.attr(attr::linear::with) & 2) != 0;
  const Shape& shape = call.out().shape();
  const In bias = call.in(has_bias ? 2 : 0, has_bias ? shape : x.shape());
  const size_t last = call.inputs() - 1;
  const In residual = call.in(has_residual ? last : 0, has_residual ? shape : x.shape());
  for (int64_t k = call.begin; k < call.end; ++k) {
    double v = row_dot(x, k / w.columns, w, k % w.columns);
    if (has_bias) v += bias.real(k);
    if (has_residual) v += residual.real(k);
    const auto activation = static_cast<Op>(call.attr(attr::linear::activation));
    call.out().set(k, call.attr(attr::linear::activation) == 0 ? v : apply_unary(activation, v));
  }
}

void run_quantized_linear(const Call& call) {
  const In x = call.in(0);
  const int64_t with = call.attr(attr::quantized_linear::with), depth = x.dim(-1),
                columns = call.in(operand::quantized_linear::values).dim(0);
  const bool has_bias = (with & 1) != 0, has_residual = (with & 2) != 0;
  const Shape& shape = call.out().shape();
  const size_t last = call.inputs() - 1, stored = stored_parts(call.state.attrs, call.inputs());
  const QuantReader weight = call.weight(static_cast<QuantFormatId>(call.attr(attr::quantized_linear::format)), columns, depth, 1, stored);
  const In bias = call.in(has_bias ? 1 + stored : 0, has_bias ? shape : x.shape());
  const In residual = call.in(has_residual ? last : 0, has_residual ? shape : x.shape());
  for (int64_t k = call.begin; k < call.end; ++k) {
    double v = 0;
    for (int64_t p = 0; p < depth; ++p) v += x.real(k / columns * depth + p) * static_cast<double>(weight.at(k % columns, p));
    if (has_bias) v += bias.real(k);
    if (has_residual) v += residual.real(k);
    const int64_t activation = call.attr(attr::quantized_linear::activation);
    call.out().set(k, activation == 0 ? v : apply_unary(static_cast<Op>(activation), v));
  }
}

/// Puts row `row` of x@a into `inner`.
void low_rank(const In& x, int64_t row, const Matrix& a, double* inner) {
  for (int64_t r = 0; r < a.columns; ++r) inner[r] = row_dot(x, row, a, r);
}

double second_dot(const double* inner, const Matrix& b, int64_t j) {
  double sum = 0;
  for (int64_t r = 0; r < b.rows; ++r) sum += inner[r] * b.real(r, j);
  return sum;
}

void run_lora_fused(const Call& call) {
  namespace in = operand::lora_fused;
  const In x = call.in(in::x), left = call.in(in::a), right = call.in(in::b);
  const Matrix a(left, call.attr(attr::lora_fused::transpose_a) != 0), b(right, call.attr(attr::lora_fused::transpose_b) != 0);
  const double scale = call.in(in::scale).real();
  auto* inner = static_cast<double*>(call.args.thread_scratch);
  for (int64_t row = call.begin; row < call.end; ++row) {
    low_rank(x, row, a, inner);
    for (int64_t j = 0; j < b.columns; ++j) call.out().set(row * b.columns + j, scale * second_dot(inner, b, j));
  }
}

void run_lora_linear(const Call& call) {
  namespace in = operand::lora_linear;
  const In x = call.in(in::x), weight = call.in(in::w), left = call.in(in::a), right = call.in(in::b);
  const Matrix w(weight, call.attr(attr::lora_linear::transpose_w) != 0), a(left, call.attr(attr::lora_linear::transpose_a) != 0),
      b(right, call.attr(attr::lora_linear::transpose_b) != 0);
  const double scale = call.in(in::scale).real();
  const bool has_bias = call.inputs() > 5;
  const In bias = call.in(has_bias ? 5 : 0, has_bias ? call.out().shape() : x.shape());
  auto* inner = static_cast<double*>(call.args.thread_scratch);
  for (int64_t row = call.begin; row < call.end; ++row) {
    low_rank(x, row, a, inner);
    for (int64_t j = 0; j < w.columns; ++j) {
      const int64_t k = row * w.columns + j;
      call.out().set(k, row_dot(x, row, w, j) + (has_bias ? bias.real(k) : 0) + scale * second_dot(inner, b, j));
    }
  }
}

void run_gated_linear(const Call& call) {
  namespace in = operand::gated_linear;
  const In x = call.in(in::x), left = call.in(in::w_gate), right = call.in(in::w_up);
  const Matrix gate(left, call.attr(attr::gated_linear::transpose_w) != 0), up(right, call.attr(attr::gated_linear::transpose_w) != 0);
  for (int64_t k = call.begin; k < call.end; ++k) {
    const int64_t row = k / gate.columns, j = k % gate.columns;
    call.out().set(
        k, apply_unary(static_cast<Op>(call.attr(attr::gated_linear::activation)), row_dot(x, row, gate, j)) * row_dot(x, row, up, j));
  }
}

/// A task is one token.
void run_lora_rows(const Call& call) {
  namespace in = operand::lora_rows;
  const In x = call.in(in::x), left = call.in(in::a), right = call.in(in::b), scales = call.in(in::scales), choice = call.in(in::choice);
  const int64_t tokens = x.dim(1), n = right.dim(1), adapters = left.dim(0);
  const bool has_base = call.inputs() > 5;
  const In base = call.in(has_base ? 5 : 0);
  auto* inner = static_cast<double*>(call.args.thread_scratch);
  for (int64_t row = call.begin; row < call.end; ++row) {
    const int64_t c = choice.number(row / tokens).i;
    if (c != -1) check_index(call, "adapter", c, adapters);
    const Matrix a(left, true, std::max<int64_t>(c, 0) * left.stride(0)), b(right, true, std::max<int64_t>(c, 0) * right.stride(0));
    if (c >= 0) low_rank(x, row, a, inner);
    for (int64_t k = row * n; k < (row + 1) * n; ++k) {
      const double share = c < 0 ? 0 : scales.real(c) * second_dot(inner, b, k - row * n);
      call.out().set(k, (has_base ? base.real(k) : 0) + share);
    }
  }
}

/// Rows of x (..., k), each with scratch for its product with the (k, r) matrix `a`.
template <void (*body)(const Call&)>
PreparedOp prepare_rows(const KernelRequest& request, size_t a) {
  const Shape& x = request.inputs[0].shape;
  const Shape& shape = request.inputs[a].shape;
  const int64_t rank = request.attrs[attr::lora_fused::transpose_a] != 0 ? shape[0] : shape[1];
  return prepare_loop<body>(request, Lanes(x, x.rank() - 1).rows(), static_cast<size_t>(rank) * sizeof(double));
}

}  // namespace

PreparedOp prepare_matmul(const KernelRequest& request) { return prepare_loop<run_matmul>(request, request.outputs[0].shape.numel()); }
PreparedOp prepare_linear(const KernelRequest& request) { return prepare_loop<run_linear>(request, request.outputs[0].shape.numel()); }
PreparedOp prepare_quantized_linear(const KernelRequest& request) {
  const size_t stored = stored_parts(request.attrs, request.inputs.size());
  PreparedOp op = prepare_loop<run_quantized_linear>(request, request.outputs[0].shape.numel());
  op.needs_contiguous |= strided_parts(request, 1, stored);
  return op;
}
PreparedOp prepare_gated_linear(const KernelRequest& request) {
  return prepare_loop<run_gated_linear>(request, request.outputs[0].shape.numel());
}
PreparedOp prepare_lora_rows(const KernelRequest& request) {
  const Shape &x = request.inputs[0].shape, &a = request.inputs[operand::lora_rows::a].shape;
  return prepare_loop<run_lora_rows>(request, x[0] * x[1], static_cast<size_t>(a[1]) * sizeof(double));
}
PreparedOp prepare_lora_fused(const KernelRequest& request) { return prepare_rows<run_lora_fused>(request, 1); }
PreparedOp prepare_lora_linear(const KernelRequest& request) { return prepare_rows<run_lora_linear>(request, 2); }

}  // namespace lazuli::reference
