// Low-rank products: scale * (x@a)@b, alone or added to x@w, which is read once. Between the two products t = scale * (x@a) stays in f32.
#include "backend/cpu/gemm/gemm_op.h"
#include "graph/ops/lora_linear.h"

namespace lazuli::cpu {

namespace {

/// x@a scaled, into scratch.
struct LowRank {
  Gemm gemm;
  int a, scale;
  DType scale_dtype;
  int64_t low_floats;  ///< of the result; what the product packs follows it in scratch
  GemmPointers pointers(const KernelArgs& args) const {
    GemmPointers p{};
    p.a[0] = args.in[0];
    p.b[0] = args.in[a];
    p.out = args.scratch;
    p.factor = static_cast<float>(factor(args.in[scale], scale_dtype));
    p.shared = static_cast<float*>(args.scratch) + low_floats;
    return p;
  }
  void run(const KernelArgs& args, int64_t begin, int64_t end) const { gemm.run(pointers(args), args.thread_scratch, begin, end); }
};

/// [x@w +] t@b [+ bias] into the result.
struct Expand {
  Gemm gemm;
  int w;  ///< operand w, or -1
  int b;
  int bias;            ///< operand, or -1
  int64_t low_floats;  ///< of t, at the start of scratch
  GemmPointers pointers(const KernelArgs& args) const {
    GemmPointers p{};
    const size_t low = w < 0 ? 0 : 1;
    if (w >= 0) {
      p.a[0] = args.in[0];
      p.b[0] = args.in[w];
    }
    p.a[low] = args.scratch;
    p.b[low] = args.in[b];
    p.bias = bias < 0 ? nullptr : args.in[bias];
    p.out = args.out[0];
    p.shared = static_cast<float*>(args.scratch) + low_floats;
    p.weight = gemm.weight_of(p);
    return p;
  }
  void run(const KernelArgs& args, int64_t begin, int64_t end) const { gemm.run(pointers(args), args.thread_scratch, begin, end); }
};

/// Both, where they are one task each.
struct Both {
  LowRank low;
  Expand high;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    if (begin == end) return;
    low.run(args, 0, 1);
    high.run(args, 0, 1);
  }
};

/// Operand numbers; w and bias are -1 where there is none.
struct LoraOperands {
  int w, a, b, scale, bias;
};

PreparedOp prepare_lora(const KernelRequest& request, const char* name, const LoraOperands& operand) {
  const auto input = [&](int k) -> const OperandSpec& { return request.inputs[static_cast<size_t>(k)]; };
  const RowsOf x(request.inputs[0]);
  const MatrixDims a = matrix_of(input(operand.a), request.attrs[attr::lora_linear::transpose_a] != 0),
                   b = matrix_of(input(operand.b), request.attrs[attr::lora_linear::transpose_b] != 0);
  const int64_t rank = a.columns;
  GemmSpec low;
  low.m = x.rows;
  low.n = rank;
  low.terms = {{x.layout, a.layout, a.rows}};
  low.scaled = true;
  GemmSpec high;
  high.m = x.rows;
  high.n = b.columns;
  if (operand.w >= 0) {
    const MatrixDims w = matrix_of(input(operand.w), request.attrs[attr::lora_linear::transpose_w] != 0);
    high.terms.push_back({x.layout, w.layout, w.rows});
    high.keeps_panels = high.transposes = true;
  }
  high.terms.push_back({{DType::f32, rank, 1}, b.layout, rank});
  high.out = request.outputs[0].dtype;
  high.bias = operand.bias >= 0;
  // Padded to whole cache lines, so that what follows in scratch is aligned.
  const int64_t low_floats = (x.rows * rank + 15) / 16 * 16;
  LowRank first{Gemm(std::move(low)), operand.a, operand.scale, input(operand.scale).dtype, low_floats};
  Expand second{Gemm(std::move(high)), operand.w, operand.b, operand.bias, low_floats};

  PreparedOp op;
  op.bytes = bytes_of(request);
  op.flops = first.gemm.flops() + second.gemm.flops();
  op.name = name;
  const auto alone = [](const Gemm& gemm) { return gemm.tasks() == 1 && gemm.pack_tasks() == 0; };
  // The second product packs where the first one did.
  const size_t packed = std::max(first.gemm.shared_bytes(), second.gemm.shared_bytes());
  if (alone(first.gemm) && alone(second.gemm)) {
    op.thread_scratch_bytes = std::max(first.gemm.thread_scratch_bytes(), second.gemm.thread_scratch_bytes());
    op.phases.push_back(make_kernel(Both{std::move(first), std::move(second)}, 1));
  } else {
    add_gemm_phases(op, std::move(first));
    add_gemm_phases(op, std::move(second));
  }
  op.scratch_bytes = static_cast<size_t>(low_floats) * sizeof(float) + packed;
  if (x.needs_copy) op.needs_contiguous |= 1;
  if (operand.bias >= 0 && !input(operand.bias).contiguous) op.needs_contiguous |= 1u << operand.bias;
  return op;
}

}  // namespace

PreparedOp prepare_lora_fused(const KernelRequest& request) {
  if (has_f64(request)) return reference_backend().prepare(request);
  return prepare_lora(request, "lora_fused", {-1, 1, 2, 3, -1});
}

PreparedOp prepare_lora_linear(const KernelRequest& request) {
  if (has_f64(request)) return reference_backend().prepare(request);
  return prepare_lora(request, "lora_linear", {1, 2, 3, 4, request.inputs.size() > 5 ? 5 : -1});
}

}  // namespace lazuli::cpu
