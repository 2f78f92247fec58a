// Defines how a Gemm becomes a prepared op, and how operands are seen as matrices.
#pragma once

#include <utility>

#include "backend/cpu/common/common.h"
#include "backend/cpu/gemm/gemm.h"

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
  GemmPointers pointers(const KernelArgs& args) const {
    GemmPointers p{};
    for (size_t t = 0; t < terms; ++t) {
      p.a[t] = args.in[a[t]];
      p.b[t] = args.in[b[t]];
    }
    if (has_bias) p.bias = args.in[bias];
    if (has_residual) p.residual = args.in[residual];
    p.out = args.out[0];
    p.shared = static_cast<float*>(args.scratch);
    p.weight = gemm.weight_of(p);
    return p;
  }
  void run(const KernelArgs& args, int64_t begin, int64_t end) const { gemm.run(pointers(args), args.thread_scratch, begin, end); }

  size_t terms;
  bool has_bias, has_residual;
  int a[2] = {0, 0}, b[2] = {0, 0};
  int bias = 0, residual = 0;
  Gemm gemm;
};

/// The packing of a product, where it is a phase of its own. Owner: something with a Gemm and its pointers.
template <class Owner>
struct PackOperands {
  std::shared_ptr<const Owner> owner;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const { owner->gemm.pack(owner->pointers(args), begin, end); }
};

/// Appends the phases of a product.
template <class Owner>
void add_gemm_phases(PreparedOp& op, Owner owner) {
  const Gemm& gemm = owner.gemm;
  const int64_t tasks = gemm.tasks(), pack_tasks = gemm.pack_tasks();
  op.thread_scratch_bytes = std::max(op.thread_scratch_bytes, gemm.thread_scratch_bytes());
  op.scratch_bytes += gemm.shared_bytes();
  op.takes_turns = op.takes_turns || gemm.takes_turns();
  Kernel kernel = make_kernel(std::move(owner), tasks);
  if (pack_tasks > 0)
    op.phases.push_back(make_kernel(PackOperands<Owner>{std::static_pointer_cast<const Owner>(kernel.state)}, pack_tasks));
  op.phases.push_back(std::move(kernel));
}

inline PreparedOp prepare_gemm(const KernelRequest& request, const char* name, GemmOp gemm) {
  PreparedOp op;
  op.bytes = bytes_of(request);
  op.flops = gemm.gemm.flops();
  op.name = name;
  add_gemm_phases(op, std::move(gemm));
  return op;
}

}  // namespace lazuli::cpu
