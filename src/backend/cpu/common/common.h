// Defines small helpers that the prepare functions of the cpu backend share.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "backend/backend.h"
#include "backend/cpu/common/strided.h"
#include "lazuli/error.h"

namespace lazuli::cpu {

/// f64 data exists on the reference backend only, whose kernels stand in. Rank-0 operands may be f64 anywhere (factors).
inline bool has_f64(const KernelRequest& request) {
  for (const OperandSpec& out : request.outputs) {
    if (out.dtype == DType::f64) return true;
  }
  for (const OperandSpec& in : request.inputs) {
    if (in.dtype == DType::f64 && in.shape.rank() > 0) return true;
  }
  return false;
}

/// A rank-0 f32 or f64 operand.
inline double factor(const void* p, DType dtype) {
  return dtype == DType::f64 ? *static_cast<const double*>(p) : static_cast<double>(*static_cast<const float*>(p));
}

/// Memory that the operands and results of a request take, each counted once.
inline double bytes_of(const KernelRequest& request) {
  double bytes = 0;
  for (const auto& specs : {request.inputs, request.outputs}) {
    for (const OperandSpec& s : specs) bytes += static_cast<double>(s.shape.numel()) * static_cast<double>(size_of(s.dtype));
  }
  return bytes;
}

/// A kernel whose run is `State::run(args, begin, end)`, const.
template <class State>
Kernel make_kernel(State state, int64_t tasks) {
  Kernel kernel;
  kernel.run = [](const void* s, const KernelArgs& args, int64_t begin, int64_t end) {
    static_cast<const State*>(s)->run(args, begin, end);
  };
  kernel.state = std::make_shared<const State>(std::move(state));
  kernel.tasks = tasks;
  return kernel;
}

/// An op of one kernel, with the estimates filled in; `flops_per_element` counts elements of the first operand or result.
template <class State>
PreparedOp make_op(const KernelRequest& request, const char* name, State state, int64_t tasks, double flops_per_element = 1) {
  PreparedOp op;
  op.phases.push_back(make_kernel(std::move(state), tasks));
  op.bytes = bytes_of(request);
  const Shape& shape = request.inputs.empty() ? request.outputs[0].shape : request.inputs[0].shape;
  op.flops = flops_per_element * static_cast<double>(shape.numel());
  op.name = name;
  return op;
}

[[noreturn]] inline void fail_dtype(const KernelRequest& request, DType dtype) {
  throw DTypeError("[" + std::string(name_of(request.op)) + "] " + std::string(name_of(dtype)) + " is not supported on the cpu backend");
}

}  // namespace lazuli::cpu
