// Defines how a Gemm becomes a prepared op, and how operands are seen as matrices.
#pragma once

#include <utility>

#include "backend/cpu/common.h"
#include "backend/cpu/gemm.h"

namespace lazuli::cpu {

/// The last two dims of an operand, read as given or transposed.
struct MatrixDims {
  MatrixLayout layout;
  int64_t rows, columns;
};
inline MatrixDims matrix_of(const OperandSpec& operand, bool transposed) {
  const int r = operand.shape.rank();
  MatrixDims m{{operand.dtype, operand.strides[r - 2], operand.strides[r - 1]}, operand.shape[r - 2], operand.shape[r - 1]};
  // The stride of a single row or column is never used: let it look row-major.
  if (m.columns <= 1) m.layout.column = 1;
  if (m.rows <= 1 && m.layout.column == 1) m.layout.row = m.columns;
  if (transposed) return {m.layout.transposed(), m.columns, m.rows};
  return m;
}

/// An operand (..., k) as a matrix whose rows follow each other at one stride.
struct RowsOf {
  explicit RowsOf(const OperandSpec& x) {
    const int last = x.shape.rank() - 1;
    const int64_t k = x.shape[last];
    layout = {x.dtype, k, k <= 1 ? 1 : x.strides[last]};
    bool first = true;
    for (int i = last - 1; i >= 0; --i) {
      if (x.shape[i] != 1) {
        if (first) layout.row = x.strides[i];
        needs_copy = needs_copy || (!first && x.strides[i] != layout.row * rows);
        first = false;
      }
      rows *= x.shape[i];
    }
    if (rows == 0 || k == 0) needs_copy = false;
  }
  MatrixLayout layout;
  int64_t rows = 1;
  bool needs_copy = false;  ///< no such stride: the operand must be row-major first
};

/// A Gemm with the numbers of the operands that it reads.
struct GemmOp {
  explicit GemmOp(GemmSpec spec) : terms(spec.terms.size()), has_bias(spec.bias), has_residual(spec.residual), gemm(std::move(spec)) {}
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    GemmPointers p{};
    for (size_t t = 0; t < terms; ++t) {
      p.a[t] = args.in[a[t]];
      p.b[t] = args.in[b[t]];
    }
    if (has_bias) p.bias = args.in[bias];
    if (has_residual) p.residual = args.in[residual];
    p.out = args.out[0];
    gemm.run(p, args.thread_scratch, begin, end);
  }

  size_t terms;
  bool has_bias, has_residual;
  int a[2] = {0, 0}, b[2] = {0, 0};
  int bias = 0, residual = 0;
  Gemm gemm;
};

inline PreparedOp prepare_gemm(const KernelRequest& request, const char* name, GemmOp gemm) {
  const int64_t tasks = gemm.gemm.tasks();
  const double flops = gemm.gemm.flops();
  const size_t scratch = gemm.gemm.thread_scratch_bytes();
  PreparedOp op = make_op(request, name, std::move(gemm), tasks);
  op.flops = flops;
  op.thread_scratch_bytes = scratch;
  return op;
}

}  // namespace lazuli::cpu
