// Matrix products and what is fused with them on the cuda backend.
#include "graph/ops/matmul.h"

#include <algorithm>

#include "backend/backend.h"
#include "backend/cuda/elementwise.h"
#include "backend/cuda/low_rank.h"
#include "backend/cuda/product.h"
#include "backend/cuda/stored_weight.h"
#include "backend/cuda/vector_product.h"
#include "graph/ops/gated_linear.h"
#include "graph/ops/linear.h"
#include "graph/ops/lora_fused.h"
#include "graph/ops/lora_linear.h"
#include "graph/ops/quantized_linear.h"
#include "graph/stored_parts.h"
#include "lazuli/op.h"

namespace lazuli::cuda {

namespace {

/// x (..., k) as one matrix of rows.
OperandSpec rows_of(const OperandSpec& x) {
  OperandSpec rows = x;
  const int64_t k = x.shape.back();
  int64_t count = 1;
  for (int axis = 0; axis + 1 < x.shape.rank(); ++axis) count *= x.shape[axis];
  rows.shape = {count, k};
  rows.strides = contiguous_strides(rows.shape);
  return rows;
}

OperandSpec row_major(DType dtype, const Shape& shape) { return {dtype, shape, contiguous_strides(shape), true, true}; }

PreparedOp op_of(const KernelRequest& request, const char* name, double flops) {
  PreparedOp op;
  op.name = name;
  op.bytes = bytes_of(request);
  op.flops = flops;
  return op;
}

/// Whether the library can add the operand as it stands: bias and residual have the result's dtype by the op's rule.
bool plain(const OperandSpec& spec) { return spec.contiguous; }

/// act(product + bias + residual), the product in f32 scratch at `at`: `parts` says which follow it, from operand `next` on.
Launch finish(const KernelRequest& request, int64_t parts, Op activation, size_t next, int64_t at) {
  std::vector<OperandSpec> inputs = {row_major(DType::f32, request.outputs[0].shape)};
  std::vector<Place> places = {Place::scratch(at)};
  ElementwiseProgram program;
  program.shape = request.outputs[0].shape;
  for (const int64_t part : {1, 2}) {
    if ((parts & part) == 0) continue;
    inputs.push_back(request.inputs[next]);
    places.push_back(Place::input(next++));
  }
  program.inputs = static_cast<uint16_t>(inputs.size());
  uint16_t value = 0;
  const auto add = [&](Op op, uint16_t other) {
    program.code.push_back({op, {value, other, 0}, DType::f32});
    value = static_cast<uint16_t>(program.inputs + program.code.size() - 1);
  };
  for (uint16_t k = 1; k < program.inputs; ++k) add(Op::add, k);
  if (activation != Op::input) add(activation, 0);
  program.outputs = {value};
  Launch launch = elementwise_launch({request.op, request.attrs, inputs, request.outputs, &program}, program);
  launch.in = places;
  return launch;
}

size_t f32_bytes(const Shape& shape) { return static_cast<size_t>(shape.numel()) * sizeof(float); }
int64_t aligned(size_t bytes) { return static_cast<int64_t>((bytes + 255) / 256 * 256); }

/// t = x @ a in f32 scratch at `at`.
Kernel inner_product(const KernelRequest& request, const OperandSpec& x, size_t a, int64_t at) {
  return product_kernel(request, {{x, Place::input(0)},
                                  {request.inputs[a], Place::input(a), request.attrs[attr::lora_fused::transpose_a] != 0},
                                  DType::f32,
                                  Place::scratch(at),
                                  std::nullopt,
                                  std::nullopt});
}

LowRank outer_product(const KernelRequest& request, int64_t rows, size_t b) {
  const OperandSpec& spec = request.inputs[b];
  const bool transposed = request.attrs[attr::lora_fused::transpose_b] != 0;
  LowRank last;
  last.rows = rows;
  last.n = spec.shape[transposed ? 0 : 1];
  last.rank = spec.shape[transposed ? 1 : 0];
  last.b_operand = b;
  last.b_rank_stride = spec.strides[transposed ? 1 : 0];
  last.b_column_stride = spec.strides[transposed ? 0 : 1];
  last.scale_operand = b + 1;
  return last;
}

/// Appends act(x@w + bias + residual) for operand 0 and the attributes of a linear; bias and residual from operand `first` on.
void add_linear(const KernelRequest& request, const MatrixOperand& w, size_t first, PreparedOp& op) {
  const OperandSpec x = rows_of(request.inputs[0]);
  const int64_t parts = request.attrs[attr::linear::with];
  const size_t residual = request.inputs.size() - 1;
  Product product{{x, Place::input(0)}, w, request.outputs[0].dtype, Place::output(), std::nullopt, std::nullopt};
  if ((parts & 1) != 0) product.bias = Place::input(first);
  if ((parts & 2) != 0) product.addend = Place::input(residual);
  op.flops += 2.0 * static_cast<double>(request.outputs[0].shape.numel()) * static_cast<double>(x.shape.back());
  const bool addends_plain = ((parts & 1) == 0 || plain(request.inputs[first])) && ((parts & 2) == 0 || plain(request.inputs[residual]));
  const auto activation = static_cast<Op>(request.attrs[attr::linear::activation]);
  std::optional<Kernel> whole;
  if (addends_plain && activation != Op::input) whole = vector_product(request, product, activation);
  if (addends_plain && activation == Op::input && takes_addends(product)) whole = product_kernel(request, product);
  if (whole) {
    op.phases.push_back(*std::move(whole));
    if ((parts & 2) != 0) {
      op.in_place = {static_cast<int>(residual)};
    }
    return;
  }
  const auto at = static_cast<int64_t>(op.scratch_bytes);
  product.bias.reset();
  product.addend.reset();
  product.result_dtype = DType::f32;
  product.result = Place::scratch(at);
  op.phases.push_back(product_kernel(request, product));
  op.phases.push_back(make_kernel(request, finish(request, parts, activation, first, at)));
  op.scratch_bytes += f32_bytes(request.outputs[0].shape);
}

}  // namespace

PreparedOp prepare_matmul(const KernelRequest& request) {
  refuse_f64(request);
  const auto& in = request.inputs;
  const Product product{{in[0], Place::input(0), request.attrs[attr::matmul::transpose_a] != 0},
                        {in[1], Place::input(operand::matmul::b), request.attrs[attr::matmul::transpose_b] != 0},
                        request.outputs[0].dtype,
                        Place::output(),
                        std::nullopt,
                        std::nullopt};
  const int64_t k = in[0].shape[in[0].shape.rank() - (request.attrs[attr::matmul::transpose_a] != 0 ? 2 : 1)];
  PreparedOp op = op_of(request, "matmul", 2.0 * static_cast<double>(request.outputs[0].shape.numel()) * static_cast<double>(k));
  // Copies make both operands fit for the library, where their dtypes and batches are.
  if (is_float(in[0].dtype) && !takes_addends(product)) {
    Product copied = product;
    copied.a.spec = row_major(in[0].dtype, in[0].shape);
    copied.b.spec = row_major(in[1].dtype, in[1].shape);
    if (const uint32_t strided = strided_operands(request); strided != 0 && takes_addends(copied)) return ask_for_contiguous(strided);
  }
  op.phases.push_back(product_kernel(request, product));
  return op;
}

PreparedOp prepare_linear(const KernelRequest& request) {
  refuse_f64(request);
  if (const uint32_t strided = strided_operands(request, 1)) return ask_for_contiguous(strided);
  PreparedOp op = op_of(request, "linear", 0);
  add_linear(request, {request.inputs[operand::linear::w], Place::input(operand::linear::w), request.attrs[attr::linear::transpose_w] != 0},
             2, op);
  return op;
}

PreparedOp prepare_quantized_linear(const KernelRequest& request) {
  refuse_f64(request);
  if (const uint32_t strided = strided_operands(request)) return ask_for_contiguous(strided);
  const OperandSpec& x = request.inputs[0];
  const Shape shape{request.inputs[1].shape[0], x.shape.back()};
  const size_t stored = stored_parts(request.attrs, request.inputs.size());
  const KernelRequest parts{request.op, request.attrs, request.inputs.subspan(1, stored), request.outputs.first(1), nullptr};
  const QuantFormat& format = quant_format(static_cast<QuantFormatId>(request.attrs[attr::quantized_linear::format]));
  Launch weight = stored_weight_launch(parts, format, x.dtype, shape.numel(), std::max<int64_t>(shape[1], 1));
  for (size_t k = 0; k < stored; ++k) weight.in.push_back(Place::input(1 + k));
  weight.out = {Place::scratch(0)};
  PreparedOp op = op_of(request, "quantized_linear", 0);
  op.scratch_bytes = static_cast<size_t>(aligned(static_cast<size_t>(shape.numel()) * size_of(x.dtype)));
  op.phases.push_back(make_kernel(request, std::move(weight)));
  add_linear(request, {row_major(x.dtype, shape), Place::scratch(0), true}, 1 + stored, op);
  return op;
}

PreparedOp prepare_gated_linear(const KernelRequest& request) {
  refuse_f64(request);
  if (const uint32_t strided = strided_operands(request, 1)) return ask_for_contiguous(strided);
  const OperandSpec x = rows_of(request.inputs[0]);
  const OperandSpec& result = request.outputs[0];
  const auto product_with = [&](size_t w, Place to) {
    return Product{{x, Place::input(0)}, {request.inputs[w], Place::input(w), request.attrs[attr::gated_linear::transpose_w] != 0},
                   result.dtype,         to,
                   std::nullopt,         std::nullopt};
  };
  const auto activation = static_cast<Op>(request.attrs[attr::gated_linear::activation]);
  PreparedOp op = op_of(request, "gated_linear", 4.0 * static_cast<double>(result.shape.numel()) * static_cast<double>(x.shape.back()));
  Product gate = product_with(1, Place::output());
  gate.up = product_with(2, Place::output()).b;
  if (auto whole = vector_product(request, gate, activation)) {
    op.phases.push_back(*std::move(whole));
    return op;
  }
  op.phases.push_back(product_kernel(request, product_with(1, Place::scratch(0))));
  op.phases.push_back(product_kernel(request, product_with(2, Place::output())));
  ElementwiseProgram program;
  program.shape = result.shape;
  program.inputs = 2;
  program.code = {{activation, {0, 0, 0}, DType::f32}, {Op::mul, {2, 1, 0}, DType::f32}};
  program.outputs = {3};
  const OperandSpec inputs[] = {row_major(result.dtype, result.shape), row_major(result.dtype, result.shape)};
  Launch last = elementwise_launch({request.op, request.attrs, inputs, request.outputs, &program}, program);
  last.in = {Place::scratch(0), Place::output()};
  op.phases.push_back(make_kernel(request, std::move(last)));
  op.scratch_bytes = static_cast<size_t>(result.shape.numel()) * size_of(result.dtype);
  return op;
}

PreparedOp prepare_lora_fused(const KernelRequest& request) {
  refuse_f64(request);
  if (const uint32_t strided = strided_operands(request, 1)) return ask_for_contiguous(strided);
  const OperandSpec x = rows_of(request.inputs[0]);
  const LowRank last = outer_product(request, x.shape[0], 2);
  PreparedOp op = op_of(request, "lora_fused", 2.0 * static_cast<double>(x.shape[0] * last.rank * (x.shape[1] + last.n)));
  op.phases.push_back(inner_product(request, x, 1, 0));
  op.phases.push_back(make_kernel(request, low_rank_launch(request, last)));
  op.scratch_bytes = f32_bytes({x.shape[0], last.rank});
  return op;
}

PreparedOp prepare_lora_linear(const KernelRequest& request) {
  namespace in = operand::lora_linear;
  refuse_f64(request);
  if (const uint32_t strided = strided_operands(request, 1)) return ask_for_contiguous(strided);
  const OperandSpec x = rows_of(request.inputs[0]);
  LowRank last = outer_product(request, x.shape[0], 3);
  const auto add_bias = [&] {
    last.bias_operand = 5;
    last.bias_column_stride = request.inputs[in::bias].strides[0];
  };
  const int64_t k = x.shape[1];
  const bool has_bias = request.inputs.size() > 5;
  PreparedOp op =
      op_of(request, "lora_linear", 2.0 * static_cast<double>(x.shape[0]) * static_cast<double>(k * last.n + last.rank * (k + last.n)));
  op.scratch_bytes = f32_bytes({x.shape[0], last.rank});
  Product base{{x, Place::input(0)},
               {request.inputs[in::w], Place::input(in::w), request.attrs[attr::lora_linear::transpose_w] != 0},
               request.outputs[0].dtype,
               Place::output(),
               std::nullopt,
               std::nullopt};
  base.addend = Place::output();
  if (has_bias && plain(request.inputs[in::bias])) base.bias = Place::input(in::bias);
  if (has_bias && !base.bias) add_bias();
  // The product adds to what the adapter gives, whose own rounding is far below the sum's. The sum is never in memory but as the result.
  if (takes_addends(base)) {
    op.phases.push_back(inner_product(request, x, 2, 0));
    op.phases.push_back(make_kernel(request, low_rank_launch(request, last)));
    op.phases.push_back(product_kernel(request, base));
    return op;
  }
  base.addend.reset();
  base.bias.reset();
  base.result_dtype = DType::f32;
  last.base_offset = aligned(op.scratch_bytes);
  base.result = Place::scratch(last.base_offset);
  if (has_bias) add_bias();
  op.phases.push_back(product_kernel(request, base));
  op.phases.push_back(inner_product(request, x, 2, 0));
  op.phases.push_back(make_kernel(request, low_rank_launch(request, last)));
  op.scratch_bytes = static_cast<size_t>(last.base_offset) + f32_bytes(request.outputs[0].shape);
  return op;
}

}  // namespace lazuli::cuda
