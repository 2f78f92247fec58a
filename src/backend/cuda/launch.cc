#include "backend/cuda/launch.h"

#include <fmt/format.h>

#include <algorithm>

#include "backend/cuda/runtime.h"
#include "lazuli/error.h"

namespace lazuli::cuda {

namespace {

/// A launch with the function that a device made of its text.
struct LaunchState {
  Launch launch;
  size_t inputs;
  size_t outputs;
  DeviceFunction function;
};

void run_launch(const void* state, const KernelArgs& args, int64_t, int64_t) {
  const auto& s = *static_cast<const LaunchState*>(state);
  if (s.launch.in.empty() && s.launch.out.empty()) {
    Runtime::current().launch(s.function, s.launch, {args.in, s.inputs}, {args.out, s.outputs}, args.scratch);
    return;
  }
  thread_local std::vector<const void*> in;
  thread_local std::vector<void*> out;
  in.assign(args.in, args.in + s.inputs);
  out.assign(args.out, args.out + s.outputs);
  if (!s.launch.in.empty()) in.clear();
  if (!s.launch.out.empty()) out.clear();
  for (const Place& place : s.launch.in) in.push_back(resolve(place, args));
  for (const Place& place : s.launch.out) out.push_back(resolve(place, args));
  Runtime::current().launch(s.function, s.launch, in, out, args.scratch);
}

}  // namespace

double bytes_of(const KernelRequest& request) {
  double bytes = 0;
  for (const auto& specs : {request.inputs, request.outputs}) {
    for (const OperandSpec& s : specs) bytes += static_cast<double>(s.shape.numel()) * static_cast<double>(size_of(s.dtype));
  }
  return bytes;
}

void* resolve(const Place& place, const KernelArgs& args) {
  void* base = args.scratch;
  if (place.kind == Place::Kind::input) base = const_cast<void*>(args.in[place.number]);
  if (place.kind == Place::Kind::output) base = args.out[place.number];
  return base == nullptr ? nullptr : static_cast<std::byte*>(base) + place.byte;
}

std::string_view type_name(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "float";
    case DType::f64:
      return "double";
    case DType::boolean:
      return "bool";
    default:
      return name_of(dtype);
  }
}

KernelText& KernelText::type(std::string_view name, DType dtype) {
  names_ += fmt::format("#define {} {}\n", name, type_name(dtype));
  return *this;
}

KernelText& KernelText::number(std::string_view name, int64_t value) {
  names_ += fmt::format("#define {} {}\n", name, value);
  return *this;
}

KernelText& KernelText::numbers(std::string_view name, std::span<const float> values) {
  std::string list;
  for (const float v : values) list += fmt::format("{}{:#}f", list.empty() ? "" : ", ", v);
  names_ += fmt::format("#define {} {{{}}}\n", name, list);
  return *this;
}

std::string KernelText::of_body(const KernelRequest& request, size_t sizes, std::string_view body) const {
  return fmt::format("#define N_IN {}\n#define N_OUT {}\n#define N_SIZES {}\n{}{}{}", std::max<size_t>(1, request.inputs.size()),
                     std::max<size_t>(1, request.outputs.size()), std::max<size_t>(1, sizes), kernel_file("prelude"), names_, body);
}

std::string KernelText::of_file(const KernelRequest& request, size_t sizes, std::string_view file) const {
  return of_body(request, sizes, kernel_file(file));
}

uint32_t blocks_for(int64_t count, uint32_t block, int64_t most) {
  return static_cast<uint32_t>(std::clamp<int64_t>((count + block - 1) / block, 1, most));
}

uint32_t threads_for_row(int64_t count) { return static_cast<uint32_t>(std::clamp<int64_t>((count + 127) / 128 * 32, 32, 1024)); }

Launch launch_file(const KernelRequest& request, const KernelText& text, std::string_view file, std::vector<int64_t> sizes, uint32_t grid,
                   uint32_t block) {
  Launch launch;
  launch.source = text.of_file(request, sizes.size(), file);
  launch.grid = {grid, 1, 1};
  launch.block = block;
  launch.sizes = std::move(sizes);
  return launch;
}

Kernel make_kernel(const KernelRequest& request, Launch launch) {
  Kernel kernel;
  kernel.run = run_launch;
  const std::string fails = launch.what_fails.empty() ? "" : fmt::format("[{}] {}", name_of(request.op), launch.what_fails);
  kernel.state = std::make_shared<const LaunchState>(
      LaunchState{std::move(launch), request.inputs.size(), request.outputs.size(), DeviceFunction(fails)});
  return kernel;
}

PreparedOp make_op(const KernelRequest& request, const char* name, std::vector<Launch> launches, double flops_per_element) {
  PreparedOp op;
  for (Launch& l : launches) op.phases.push_back(make_kernel(request, std::move(l)));
  op.bytes = bytes_of(request);
  const Shape& shape = request.inputs.empty() ? request.outputs[0].shape : request.inputs[0].shape;
  op.flops = flops_per_element * static_cast<double>(shape.numel());
  op.name = name;
  return op;
}

const Launch* launch_of(const Kernel& kernel) {
  return kernel.run == run_launch ? &static_cast<const LaunchState*>(kernel.state.get())->launch : nullptr;
}

bool needs_compiling(const Kernel& kernel) {
  return kernel.run == run_launch && !static_cast<const LaunchState*>(kernel.state.get())->function.made();
}

void refuse_f64(const KernelRequest& request) {
  const auto is_data = [](const OperandSpec& s) { return s.dtype == DType::f64 && s.shape.rank() > 0; };
  const bool found =
      std::any_of(request.inputs.begin(), request.inputs.end(), is_data) ||
      std::any_of(request.outputs.begin(), request.outputs.end(), [](const OperandSpec& s) { return s.dtype == DType::f64; });
  if (found) throw DTypeError(fmt::format("[{}] f64 data is computed on the reference device only, not on cuda", name_of(request.op)));
}

uint32_t strided_operands(const KernelRequest& request, uint32_t which) {
  uint32_t found = 0;
  for (size_t k = 0; k < request.inputs.size() && k < 32; ++k) {
    if (!request.inputs[k].contiguous) found |= 1u << k;
  }
  return found & which;
}

PreparedOp ask_for_contiguous(uint32_t operands) {
  PreparedOp op;
  op.needs_contiguous = operands;
  return op;
}

}  // namespace lazuli::cuda
