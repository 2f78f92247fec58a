// Defines what a loop of the reference backend is given, and how it becomes a prepared op.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "backend/reference/element.h"
#include "lazuli/error.h"
#include "tensor/quant_reader.h"

namespace lazuli::reference {

/// A copy of the request, kept by the kernel.
struct State {
  explicit State(const KernelRequest& r)
      : op(r.op), attrs(r.attrs), inputs(r.inputs.begin(), r.inputs.end()), outputs(r.outputs.begin(), r.outputs.end()) {
    if (r.program != nullptr) program = *r.program;
  }
  Op op;
  Attrs attrs;
  std::vector<OperandSpec> inputs;
  std::vector<OperandSpec> outputs;
  std::optional<ElementwiseProgram> program;
};

/// Tasks [begin, end) of one run.
struct Call {
  const State& state;
  const KernelArgs& args;
  int64_t begin;
  int64_t end;

  int64_t attr(AttrKey key) const { return state.attrs[key]; }
  size_t inputs() const { return state.inputs.size(); }
  In in(size_t k) const { return In(state.inputs[k], args.in[k]); }
  In in(size_t k, const Shape& space) const { return In(state.inputs[k], args.in[k], space); }
  Out out(size_t j = 0) const { return Out(state.outputs[j], args.out[j]); }
  /// A stored weight (outputs, inputs) from `count` operands from `first` on.
  QuantReader weight(QuantFormatId format, int64_t outputs, int64_t columns, size_t first, size_t count) const {
    std::array<QuantData, kMostQuantParts> parts;
    for (size_t k = 0; k < count; ++k) parts[k] = {args.in[first + k], state.inputs[first + k].dtype};
    return {quant_format(format), outputs, columns, 0, std::span(parts).first(count)};
  }
  std::string name() const { return "[" + std::string(name_of(state.op)) + "]"; }
};

/// A prepared op of one phase that calls `body` on ranges of `tasks`.
template <void (*body)(const Call&)>
PreparedOp prepare_loop(const KernelRequest& request, int64_t tasks, size_t thread_scratch_bytes = 0) {
  Kernel kernel;
  kernel.run = [](const void* state, const KernelArgs& args, int64_t begin, int64_t end) {
    body(Call{*static_cast<const State*>(state), args, begin, end});
  };
  kernel.state = std::make_shared<const State>(request);
  kernel.tasks = tasks;
  PreparedOp prepared;
  prepared.phases.push_back(std::move(kernel));
  prepared.thread_scratch_bytes = thread_scratch_bytes;
  prepared.name = name_of(request.op).data();
  for (const auto* specs : {&request.inputs, &request.outputs}) {
    for (const OperandSpec& spec : *specs)
      prepared.bytes += static_cast<double>(spec.shape.numel()) * static_cast<double>(size_of(spec.dtype));
  }
  return prepared;
}

/// Those of `count` operands from `first` on that are not contiguous, as bits of PreparedOp::needs_contiguous.
inline uint32_t strided_parts(const KernelRequest& request, size_t first, size_t count) {
  uint32_t strided = 0;
  for (size_t k = first; k < first + count; ++k) strided |= request.inputs[k].contiguous ? 0 : 1U << k;
  return strided;
}

/// Of the result; what many loops count as their tasks.
inline int64_t elements(const KernelRequest& request) { return request.outputs[0].shape.numel(); }

/// Throws ValueError unless index is in [0, size).
inline void check_index(const Call& call, const char* what, int64_t index, int64_t size) {
  if (index >= 0 && index < size) return;
  throw ValueError(call.name() + " " + what + " " + std::to_string(index) + " is out of range for size " + std::to_string(size));
}

}  // namespace lazuli::reference
