// Elementwise ops and fused chains of them on the reference backend: every element is computed on its own.
#include "backend/reference/call.h"
#include "backend/reference/reduction.h"
#include "backend/reference/scalar_ops.h"

namespace lazuli::reference {

namespace {

void run_elementwise(const Call& call) {
  const Out out = call.out();
  const In a = call.in(0, out.shape());
  const In b = call.inputs() > 1 ? call.in(1, out.shape()) : a;
  const In c = call.inputs() > 2 ? call.in(2, out.shape()) : a;
  for (int64_t k = call.begin; k < call.end; ++k) {
    out.set(k, apply(call.state.op, out.dtype(), a.number(k), b.number(k), c.number(k)));
  }
}

/// Fills `values` (one entry for each value number) with those of element k of the iteration space.
void interpret(const Call& call, const ElementwiseProgram& program, int64_t k, Number* values) {
  for (size_t i = 0; i < program.inputs; ++i) values[i] = call.in(i, program.shape).number(k);
  Number* next = values + program.inputs;
  for (const auto& step : program.code) {
    const int8_t operands = info(step.op).max_inputs;
    const Number a = values[step.operand[0]];
    const Number b = operands > 1 ? values[step.operand[1]] : a;
    const Number c = operands > 2 ? values[step.operand[2]] : a;
    *next++ = apply(step.op, step.dtype, a, b, c);
  }
}

void run_fused(const Call& call) {
  const ElementwiseProgram& program = *call.state.program;
  auto* values = static_cast<Number*>(call.args.thread_scratch);
  for (int64_t k = call.begin; k < call.end; ++k) {
    interpret(call, program, k, values);
    for (size_t j = 0; j < program.outputs.size(); ++j) call.out(j).set(k, values[program.outputs[j]]);
  }
}

void run_fused_reduction(const Call& call) {
  const ElementwiseProgram& program = *call.state.program;
  auto* values = static_cast<Number*>(call.args.thread_scratch);
  const Strides row_major = contiguous_strides(program.shape);
  const FoldedAxes axes(program.shape, row_major, program.axes);
  for (int64_t o = call.begin; o < call.end; ++o) {
    Fold fold(program.reduction);
    for (int64_t r = 0; r < axes.folded.numel(); ++r) {
      interpret(call, program, axes.offset(o, r), values);
      fold.add(values[program.outputs[0]]);
    }
    call.out().set(o, fold.result(call.out().dtype()));
  }
}

}  // namespace

PreparedOp prepare_elementwise(const KernelRequest& request) {
  return prepare_loop<run_elementwise>(request, request.outputs[0].shape.numel());
}

PreparedOp prepare_fused_elementwise(const KernelRequest& request) {
  const ElementwiseProgram& program = *request.program;
  const size_t scratch = (program.inputs + program.code.size()) * sizeof(Number);
  if (program.reduces) return prepare_loop<run_fused_reduction>(request, request.outputs[0].shape.numel(), scratch);
  return prepare_loop<run_fused>(request, program.shape.numel(), scratch);
}

}  // namespace lazuli::reference
