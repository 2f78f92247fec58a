// act(x@w_gate) * (x@w_up): a task computes its part of the gate into the result and then multiplies it with its part of the other product.
#include "graph/ops/gated_linear.h"

#include <algorithm>

#include "backend/cpu/common/thresholds.h"
#include "backend/cpu/gemm/gemm_op.h"

namespace lazuli::cpu {

namespace {

/// One of the two products. Both have one shape and leave their result in the same place.
struct Half {
  Gemm gemm;
  int w;                  ///< operand
  int64_t shared_floats;  ///< where its packed operands start in scratch
  bool borrows = false;   ///< its left side is what the other product packed, at the start of scratch
  /// Of pack(): those that are left to do.
  int64_t first_pack() const { return borrows ? gemm.left_pack_tasks() : 0; }
  int64_t pack_tasks() const { return gemm.pack_tasks() - first_pack(); }
  void pack(const KernelArgs& args, int64_t begin, int64_t end) const {
    gemm.pack(pointers(args), begin + first_pack(), end + first_pack());
  }
  GemmPointers pointers(const KernelArgs& args) const {
    GemmPointers p{};
    p.a[0] = args.in[0];
    p.b[0] = args.in[w];
    p.out = args.out[0];
    p.times = args.out[0];
    p.shared = static_cast<float*>(args.scratch) + shared_floats;
    if (borrows) p.left = static_cast<float*>(args.scratch);
    p.weight = gemm.weight_of(p);
    return p;
  }
  void run(const KernelArgs& args, int64_t begin, int64_t end) const { gemm.run(pointers(args), args.thread_scratch, begin, end); }
};

struct Gated {
  static constexpr int64_t kTogether = threshold::gated::kTogether;
  Half gate, up;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    for (int64_t task = begin; task < end; task += kTogether) {
      const int64_t last = std::min(task + kTogether, end);
      gate.run(args, task, last);
      up.run(args, task, last);
    }
  }
};

/// The packing of both.
struct PackBoth {
  std::shared_ptr<const Gated> owner;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    const Half &gate = owner->gate, &up = owner->up;
    const int64_t first = gate.pack_tasks();
    if (begin == 0 && up.borrows) up.gemm.count_rows(up.pointers(args));
    if (begin < first) gate.pack(args, begin, std::min(end, first));
    if (end > first) up.pack(args, std::max(begin, first) - first, end - first);
  }
};

bool alike(const MatrixLayout& a, const MatrixLayout& b) { return a.dtype == b.dtype && a.row == b.row && a.column == b.column; }

}  // namespace

PreparedOp prepare_gated_linear(const KernelRequest& request) {
  if (has_f64(request)) return reference_backend().prepare(request);
  const RowsOf x(request.inputs[0]);
  const bool transposed = request.attrs[attr::gated_linear::transpose_w] != 0;
  const MatrixDims w_gate = matrix_of(request.inputs[operand::gated_linear::w_gate], transposed),
                   w_up = matrix_of(request.inputs[operand::gated_linear::w_up], transposed);
  GemmSpec spec;
  spec.m = x.rows;
  spec.n = w_gate.columns;
  spec.terms = {{x.layout, w_gate.layout, w_gate.rows}};
  spec.out = request.outputs[0].dtype;
  spec.keeps_panels = true;
  GemmSpec second = spec;
  spec.activation = tile_fn(static_cast<Op>(request.attrs[attr::gated_linear::activation]), 0);
  second.terms[0].b = w_up.layout;
  second.times = true;
  Half gate{Gemm(std::move(spec)), 1, 0};
  Half up{Gemm(std::move(second)), 2, static_cast<int64_t>(gate.gemm.shared_bytes() / sizeof(float))};

  PreparedOp op;
  op.bytes = bytes_of(request);
  op.flops = gate.gemm.flops() + up.gemm.flops();
  op.name = "gated_linear";
  if (alike(w_gate.layout, w_up.layout)) {
    op.scratch_bytes = gate.gemm.shared_bytes() + up.gemm.shared_bytes();
    if (up.gemm.packs_left_as(gate.gemm)) {
      up.borrows = true;
      const int64_t left = up.gemm.shared_left_floats();
      up.shared_floats -= left;  // the part of its left side, which it leaves alone
      op.scratch_bytes -= static_cast<size_t>(left) * sizeof(float);
    }
    op.takes_turns = gate.gemm.takes_turns() || up.gemm.takes_turns();
    const int64_t tasks = gate.gemm.tasks(), pack_tasks = gate.pack_tasks() + up.pack_tasks();
    op.thread_scratch_bytes = std::max(gate.gemm.thread_scratch_bytes(), up.gemm.thread_scratch_bytes());
    Kernel kernel = make_kernel(Gated{std::move(gate), std::move(up)}, tasks);
    if (pack_tasks > 0) op.phases.push_back(make_kernel(PackBoth{std::static_pointer_cast<const Gated>(kernel.state)}, pack_tasks));
    op.phases.push_back(std::move(kernel));
  } else {
    // They may be cut in different tasks.
    add_gemm_phases(op, std::move(gate));
    add_gemm_phases(op, std::move(up));
  }
  if (x.needs_copy) op.needs_contiguous |= 1u;
  return op;
}

}  // namespace lazuli::cpu
