// Matrix products. Floats go through Gemm; integers wrap around and take plain loops.
#include "graph/ops/matmul.h"

#include <algorithm>

#include "backend/cpu/common/common.h"
#include "backend/cpu/gemm/gemm_op.h"
#include "graph/ops/linear.h"

namespace lazuli::cpu {

namespace {

/// Where each matrix of the result's batch starts in an operand that broadcasts to it.
std::vector<int64_t> batch_offsets(const OperandSpec& operand, const Shape& result) {
  const auto batch_dims = [](const Dims& d) { return d.span().first(static_cast<size_t>(d.rank() - 2)); };
  OperandSpec batch;
  batch.shape = Shape(batch_dims(operand.shape));
  batch.strides = Strides(batch_dims(operand.strides));
  const Shape space(batch_dims(result));
  const Strides strides = broadcast_strides(batch, space);
  std::vector<int64_t> offsets(static_cast<size_t>(space.numel()));
  for (size_t k = 0; k < offsets.size(); ++k) {
    auto rest = static_cast<int64_t>(k);
    for (int axis = space.rank() - 1; axis >= 0; --axis) {
      offsets[k] += rest % space[axis] * strides[axis];
      rest /= space[axis];
    }
  }
  return offsets;
}

struct Sides {
  MatrixLayout a, b;
  int64_t m, n, k;
  std::vector<int64_t> a_offsets, b_offsets;
};

Sides sides_of(const KernelRequest& request) {
  const OperandSpec &a = request.inputs[0], &b = request.inputs[operand::matmul::b];
  const Shape& out = request.outputs[0].shape;
  const MatrixDims left = matrix_of(a, request.attrs[attr::matmul::transpose_a] != 0),
                   right = matrix_of(b, request.attrs[attr::matmul::transpose_b] != 0);
  Sides s{left.layout, right.layout, left.rows, right.columns, left.columns, batch_offsets(a, out), batch_offsets(b, out)};
  // One matrix on the right: rows of all matrices on the left are rows of one product where one stride leads through them.
  const bool one_right = std::all_of(s.b_offsets.begin(), s.b_offsets.end(), [](int64_t o) { return o == 0; });
  bool even = s.m > 0;
  for (size_t i = 0; i < s.a_offsets.size(); ++i) even = even && s.a_offsets[i] == static_cast<int64_t>(i) * s.m * s.a.row;
  const bool one_row = s.m == 1 && s.a_offsets.size() > 1;
  if (one_row) {
    const int64_t step = s.a_offsets[1] - s.a_offsets[0];
    even = true;
    for (size_t i = 0; i < s.a_offsets.size(); ++i) even = even && s.a_offsets[i] == static_cast<int64_t>(i) * step;
    if (even && one_right) s.a.row = step;
  }
  if (one_right && even) {
    s.m *= static_cast<int64_t>(s.a_offsets.size());
    s.a_offsets = s.b_offsets = {0};
  }
  return s;
}

template <class T>
struct IntegerMatmul {
  Sides s;
  /// A task is one row of the result.
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    for (int64_t task = begin; task < end; ++task) {
      const auto batch = static_cast<size_t>(task / s.m);
      const T* a = static_cast<const T*>(args.in[0]) + s.a_offsets[batch] + task % s.m * s.a.row;
      const T* b = static_cast<const T*>(args.in[operand::matmul::b]) + s.b_offsets[batch];
      T* out = static_cast<T*>(args.out[0]) + task * s.n;
      for (int64_t j = 0; j < s.n; ++j) {
        uint64_t sum = 0;
        for (int64_t p = 0; p < s.k; ++p) {
          sum += static_cast<uint64_t>(a[p * s.a.column]) * static_cast<uint64_t>(b[p * s.b.row + j * s.b.column]);
        }
        out[j] = static_cast<T>(sum);
      }
    }
  }
};

template <class T>
PreparedOp prepare_integers(const KernelRequest& request) {
  const Sides s = sides_of(request);
  const int64_t rows = s.n == 0 ? 0 : s.m * static_cast<int64_t>(s.a_offsets.size());
  const double flops = 2 * static_cast<double>(s.k) * static_cast<double>(request.outputs[0].shape.numel());
  PreparedOp op = make_op(request, "matmul_integer", IntegerMatmul<T>{s}, rows);
  op.flops = flops;
  return op;
}

}  // namespace

PreparedOp prepare_matmul(const KernelRequest& request) {
  if (has_f64(request)) return reference_backend().prepare(request);
  switch (request.outputs[0].dtype) {
    case DType::i64:
      return prepare_integers<int64_t>(request);
    case DType::i32:
      return prepare_integers<int32_t>(request);
    case DType::i8:
      return prepare_integers<int8_t>(request);
    case DType::u8:
      return prepare_integers<uint8_t>(request);
    default:
      break;
  }
  Sides s = sides_of(request);
  GemmSpec spec;
  spec.m = s.m;
  spec.n = s.n;
  spec.terms = {{s.a, s.b, s.k}};
  spec.a_offsets = std::move(s.a_offsets);
  spec.b_offsets = std::move(s.b_offsets);
  spec.out = request.outputs[0].dtype;
  spec.keeps_panels = spec.transposes = true;
  GemmOp gemm(std::move(spec));
  gemm.a[0] = 0;
  gemm.b[0] = 1;
  return prepare_gemm(request, "matmul", std::move(gemm));
}

PreparedOp prepare_linear(const KernelRequest& request) {
  if (has_f64(request)) return reference_backend().prepare(request);
  const RowsOf x(request.inputs[0]);
  const MatrixDims w = matrix_of(request.inputs[operand::linear::w], request.attrs[attr::linear::transpose_w] != 0);
  GemmSpec spec;
  spec.m = x.rows;
  spec.n = w.columns;
  spec.terms = {{x.layout, w.layout, w.rows}};
  spec.out = request.outputs[0].dtype;
  spec.bias = (request.attrs[attr::linear::with] & 1) != 0;
  spec.residual = (request.attrs[attr::linear::with] & 2) != 0;
  spec.keeps_panels = spec.transposes = true;
  if (request.attrs[attr::linear::activation] != 0) spec.activation = tile_fn(static_cast<Op>(request.attrs[attr::linear::activation]), 0);
  GemmOp gemm(std::move(spec));
  gemm.a[0] = 0;
  gemm.b[0] = 1;
  gemm.bias = 2;
  gemm.residual = static_cast<int>(request.inputs.size()) - 1;
  const bool bias = (request.attrs[attr::linear::with] & 1) != 0, residual = (request.attrs[attr::linear::with] & 2) != 0;
  const int residual_input = gemm.residual;
  PreparedOp op = prepare_gemm(request, "linear", std::move(gemm));
  if (x.needs_copy) op.needs_contiguous |= 1u;
  if (bias && !request.inputs[2].contiguous) op.needs_contiguous |= 4u;
  if (residual && !request.inputs[static_cast<size_t>(residual_input)].contiguous) op.needs_contiguous |= 1u << residual_input;
  if (residual) op.in_place = {residual_input};
  return op;
}

}  // namespace lazuli::cpu
