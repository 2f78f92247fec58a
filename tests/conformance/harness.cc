// Implements running one op on a backend.
#include "conformance/harness.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <thread>

#include "backend/cuda/runtime.h"
#include "conformance/data.h"
#include "lazuli/op.h"
#include "tensor/device_memory.h"

namespace lazuli::conformance {

namespace {

constexpr size_t kGuard = 64;
constexpr uint8_t kPoison = 0xcd;

/// Memory of a device followed by bytes that must not change, filled with a pattern that is no sensible number.
class Guarded {
 public:
  explicit Guarded(size_t bytes, Device device = {}) : bytes_(bytes) {
    const std::vector<uint8_t> poison(bytes + kGuard, kPoison);
    all_ = Tensor::from_vector(poison, {static_cast<int64_t>(bytes + kGuard)}, device);
  }
  std::byte* data() const { return static_cast<std::byte*>(all_.raw()); }
  const BufferRef& buffer() const { return all_.buffer(); }
  void expect_intact(const char* what) const {
    const Tensor host = all_.to(Device{});
    const auto behind = host.data<uint8_t>().subspan(bytes_);
    const bool intact = std::all_of(behind.begin(), behind.end(), [](uint8_t b) { return b == kPoison; });
    EXPECT_TRUE(intact) << "written past the end of " << what;
  }

 private:
  size_t bytes_;
  Tensor all_;
};

Device device_of(const Backend& backend) { return &backend == &cuda_backend() ? Device{DeviceKind::cuda, 0} : Device{}; }

/// What kernels of the backend run in.
struct RunScope {
  explicit RunScope(Device device) {
    if (device.kind == DeviceKind::cuda) cuda.emplace(cuda::Runtime::of(device.index));
  }
  std::optional<cuda::Runtime::Use> cuda;
};

OperandSpec spec_of(const Tensor& t) { return {t.dtype(), t.shape(), t.strides(), t.is_contiguous(), true}; }

std::vector<OperandSpec> result_specs(const OpCall& call, int unused) {
  std::vector<TensorSpec> inputs;
  for (const Tensor& t : call.inputs) inputs.push_back({t.dtype(), t.shape()});
  std::vector<OperandSpec> specs;
  for (const TensorSpec& s : infer({call.op, call.attrs, call.program}, inputs, call.target ? &*call.target : nullptr)) {
    specs.push_back({s.dtype, s.shape, contiguous_strides(s.shape), true, static_cast<int>(specs.size()) != unused});
  }
  return specs;
}

/// Copies the operands that the kernel cannot read as they are, and prepares again.
PreparedOp prepare(const Backend& backend, const OpCall& call, std::vector<Tensor>& inputs, const std::vector<OperandSpec>& outputs) {
  PreparedOp prepared;
  for (int round = 0; round < 2; ++round) {
    std::vector<OperandSpec> specs;
    for (const Tensor& t : inputs) specs.push_back(spec_of(t));
    prepared = backend.prepare({call.op, call.attrs, specs, outputs, call.program.get()});
    if (!prepared.needs_copies()) break;
    EXPECT_EQ(round, 0) << "the kernel asks again for row-major operands";
    for (size_t k = 0; k < inputs.size(); ++k) {
      if (prepared.needs_copy(k)) inputs[k] = inputs[k].contiguous();
    }
  }
  EXPECT_STRNE(prepared.name, "") << "kernels have names";
  return prepared;
}

bool updates_first_input(Op op) {
  return op == Op::slice_update || op == Op::scatter_add || op == Op::scatter_along_add || op == Op::page_update;
}

/// The operand whose memory result j takes, or -1.
int shared_input(const OpCall& call, const PreparedOp& prepared, const std::vector<Tensor>& inputs, const OperandSpec& output, size_t j,
                 const Variant& variant) {
  if (updates_first_input(call.op) && j == 0) return 0;
  if (!variant.in_place || j >= prepared.in_place.size() || prepared.in_place[j] < 0) return -1;
  const Tensor& input = inputs[static_cast<size_t>(prepared.in_place[j])];
  const bool fits = input.is_contiguous() && input.nbytes() == static_cast<size_t>(output.shape.numel()) * size_of(output.dtype);
  return fits ? prepared.in_place[j] : -1;
}

/// One range of tasks for each thread, all at the same time.
void run_side_by_side(const PreparedOp& prepared, const Kernel& kernel, const KernelArgs& args, int threads) {
  std::vector<std::unique_ptr<Guarded>> scratch;
  std::vector<std::thread> team;
  for (int t = 0; t < threads; ++t) scratch.push_back(std::make_unique<Guarded>(prepared.thread_scratch_bytes));
  for (int t = 0; t < threads; ++t) {
    team.emplace_back([&, t] {
      KernelArgs own = args;
      own.thread_scratch = scratch[static_cast<size_t>(t)]->data();
      kernel.run(kernel.state.get(), own, kernel.tasks * t / threads, kernel.tasks * (t + 1) / threads);
    });
  }
  for (std::thread& t : team) t.join();
  for (const auto& s : scratch) s->expect_intact("thread scratch");
}

void run_phases(const PreparedOp& prepared, KernelArgs args, const Variant& variant, Device device) {
  const RunScope scope(device);
  const Guarded scratch(prepared.scratch_bytes, device);
  args.scratch = scratch.data();
  for (const Kernel& kernel : prepared.phases) {
    if (variant.threads > 1) {
      run_side_by_side(prepared, kernel, args, variant.threads);
      continue;
    }
    const int64_t chunks = variant.chunks;
    const int64_t pieces = std::max<int64_t>(1, std::min(chunks, kernel.tasks));
    for (int64_t c = pieces - 1; c >= 0; --c) {
      const Guarded thread_scratch(prepared.thread_scratch_bytes);
      args.thread_scratch = thread_scratch.data();
      kernel.run(kernel.state.get(), args, kernel.tasks * c / pieces, kernel.tasks * (c + 1) / pieces);
      thread_scratch.expect_intact("thread scratch");
    }
  }
  scratch.expect_intact("scratch");
}

double ulp_of(DType dtype, double v) {
  const int digits = dtype == DType::f64 ? 53 : dtype == DType::f32 ? 24 : dtype == DType::f16 ? 11 : 8;
  const int lowest = dtype == DType::f64 ? -1021 : dtype == DType::f16 ? -13 : -125;
  int exponent = 0;
  std::frexp(v, &exponent);
  return std::ldexp(1.0, std::max(exponent, lowest) - digits);
}

bool close(double got, double wanted, double allowed) {
  if (std::isnan(wanted)) return std::isnan(got);
  return got == wanted || std::fabs(got - wanted) <= allowed;
}

}  // namespace

std::vector<Tensor> run(const Backend& backend, const OpCall& call, const Variant& variant) {
  const std::vector<OperandSpec> outputs = result_specs(call, variant.unused);
  std::vector<Tensor> inputs = call.inputs;
  const PreparedOp prepared = prepare(backend, call, inputs, outputs);
  const Device device = device_of(backend);
  std::vector<Tensor> there;
  std::vector<const void*> in;
  for (const Tensor& t : inputs) {
    there.push_back(t.to(device));
    in.push_back(there.back().raw());
  }
  std::vector<void*> out;
  std::vector<Guarded> memory;
  for (size_t j = 0; j < outputs.size(); ++j) {
    const size_t bytes = static_cast<size_t>(outputs[j].shape.numel()) * size_of(outputs[j].dtype);
    memory.emplace_back(bytes, device);
    out.push_back(outputs[j].used ? memory[j].data() : nullptr);
    const int shared = shared_input(call, prepared, inputs, outputs[j], j, variant);
    if (shared < 0 || !outputs[j].used) continue;
    const Tensor x = inputs[static_cast<size_t>(shared)].contiguous();
    if (bytes != 0 && on_host(device)) std::memcpy(out[j], x.raw(), bytes);
    if (bytes != 0 && !on_host(device)) DeviceMemory::of(device).upload(out[j], x.raw(), bytes);
    in[static_cast<size_t>(shared)] = out[j];
  }
  run_phases(prepared, {in.data(), out.data(), nullptr, nullptr}, variant, device);
  std::vector<Tensor> results;
  for (size_t j = 0; j < outputs.size(); ++j) {
    memory[j].expect_intact("a result");
    results.push_back(outputs[j].used ? Tensor(outputs[j].dtype, outputs[j].shape, memory[j].buffer()).to(Device{}) : Tensor());
  }
  return results;
}

std::string difference(const Tensor& got, const Tensor& wanted, const Tolerance& tolerance) {
  if (got.dtype() != wanted.dtype() || !(got.shape() == wanted.shape())) return "dtype or shape differs";
  if (!is_float(got.dtype())) {
    const auto a = got.to_vector<int64_t>(), b = wanted.to_vector<int64_t>();
    for (size_t k = 0; k < a.size(); ++k) {
      if (a[k] != b[k]) return "element " + std::to_string(k) + ": got " + std::to_string(a[k]) + ", wanted " + std::to_string(b[k]);
    }
    return "";
  }
  const auto a = got.to_vector<double>(), b = wanted.to_vector<double>();
  double largest = 0;
  for (double v : b) largest = std::isfinite(v) ? std::max(largest, std::fabs(v)) : largest;
  const double spread = (tolerance.spread * largest + tolerance.floor) * (got.dtype() == DType::f64 ? 0x1p-53 : 0x1p-24);
  const double ulps = size_of(got.dtype()) == 2 ? tolerance.half_ulps : tolerance.ulps;
  for (size_t k = 0; k < a.size(); ++k) {
    if (close(a[k], b[k], ulps * ulp_of(got.dtype(), b[k]) + spread)) continue;
    return ::testing::PrintToString(a[k]) + " at element " + std::to_string(k) + " where " + ::testing::PrintToString(b[k]) +
           " is wanted (off by " + ::testing::PrintToString((a[k] - b[k]) / ulp_of(got.dtype(), b[k])) + " ulp)";
  }
  return "";
}

bool identical(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || !(a.shape() == b.shape())) return false;
  return a.numel() == 0 || std::memcmp(a.contiguous().raw(), b.contiguous().raw(), a.nbytes()) == 0;
}

}  // namespace lazuli::conformance
