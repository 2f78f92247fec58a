// Times kernels of the cpu backend alone, on one thread: softmax, RMS norm, chains of elementwise ops.
#include <benchmark/benchmark.h>

#include <vector>

#include "backend/backend.h"
#include "lazuli/op.h"
#include "tensor/buffer_pool.h"

// How a plain loop gets the machine's vectors; clang 14 has no such attribute, and its loop runs the portable code.
#if defined(__GNUC__) && !defined(__clang__)
#define LAZULI_BEST_TARGET __attribute__((optimize("O3"), target_clones("avx512f", "avx2", "default")))
#else
#define LAZULI_BEST_TARGET
#endif

namespace lazuli {
namespace {

/// One prepared op with its memory.
class KernelRun {
 public:
  KernelRun(Op op, std::vector<Shape> inputs, const Shape& result, const Attrs& attrs = {}, const ElementwiseProgram* program = nullptr)
      : result_(static_cast<size_t>(result.numel()), 0.0f) {
    std::vector<OperandSpec> specs;
    for (const Shape& s : inputs) {
      specs.push_back({DType::f32, s, contiguous_strides(s), true, true});
      memory_.emplace_back(static_cast<size_t>(s.numel()));
      for (size_t i = 0; i < memory_.back().size(); ++i) memory_.back()[i] = static_cast<float>(i % 97) * 0.02f + 0.01f;
    }
    for (const auto& m : memory_) in_.push_back(m.data());
    const OperandSpec out{DType::f32, result, contiguous_strides(result), true, true};
    prepared_ = cpu_backend().prepare({op, attrs, specs, {&out, 1}, program});
    out_ = result_.data();
    scratch_ = allocate_buffer(prepared_.scratch_bytes);
    thread_scratch_ = allocate_buffer(prepared_.thread_scratch_bytes);
  }
  void operator()() const {
    const KernelArgs args{in_.data(), &out_, scratch_->data(), thread_scratch_->data()};
    for (const Kernel& k : prepared_.phases) k.run(k.state.get(), args, 0, k.tasks);
  }

 private:
  std::vector<std::vector<float>> memory_;
  std::vector<float> result_;
  std::vector<const void*> in_;
  void* out_;
  PreparedOp prepared_;
  BufferRef scratch_, thread_scratch_;
};

void time_runs(benchmark::State& state, const KernelRun& run, int64_t elements) {
  for (auto _ : state) run();
  state.SetItemsProcessed(state.iterations() * elements);
}

void softmax(benchmark::State& state) {
  const Shape x{state.range(0), state.range(1)};
  Attrs attrs;
  attrs.i[0] = 1;
  time_runs(state, KernelRun(Op::softmax, {x}, x, attrs), x.numel());
}
BENCHMARK(softmax)->Args({1, 1024})->Args({128, 4096});

void rms_norm(benchmark::State& state) {
  const Shape x{state.range(0), state.range(1)};
  time_runs(state, KernelRun(Op::rms_norm, {x, Shape{state.range(1)}, Shape{}}, x), x.numel());
}
BENCHMARK(rms_norm)->Args({1, 1024})->Args({128, 4096});

void add(benchmark::State& state) {
  const Shape x{state.range(0)};
  time_runs(state, KernelRun(Op::add, {x, x}, x), x.numel());
}
BENCHMARK(add)->Arg(64)->Arg(1000000);

/// ((x y + z) - x) s, clipped below, scaled, squared and added to z: eight ops.
ElementwiseProgram eight_ops(const Shape& shape) {
  ElementwiseProgram p;
  p.inputs = 4;
  p.shape = shape;
  const DType t = DType::f32;
  p.code = {{Op::mul, {0, 1, 0}, t},  {Op::add, {4, 2, 0}, t}, {Op::sub, {5, 0, 0}, t},    {Op::mul, {6, 3, 0}, t},
            {Op::relu, {7, 0, 0}, t}, {Op::mul, {8, 1, 0}, t}, {Op::square, {9, 0, 0}, t}, {Op::add, {10, 2, 0}, t}};
  p.outputs = {11};
  return p;
}

void chain_of_eight(benchmark::State& state) {
  const Shape x{state.range(0)};
  const ElementwiseProgram p = eight_ops(x);
  time_runs(state, KernelRun(Op::fused_elementwise, {x, x, x, Shape{}}, x, {}, &p), x.numel());
}
BENCHMARK(chain_of_eight)->Arg(1000)->Arg(1000000);

/// The same, folded in one loop by hand and vectorised by the compiler.
LAZULI_BEST_TARGET
void eight_by_hand(const float* x, const float* y, const float* z, float s, float* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const float a = (x[i] * y[i] + z[i] - x[i]) * s;
    const float b = (a > 0 ? a : 0) * y[i];
    out[i] = b * b + z[i];
  }
}

void chain_of_eight_by_hand(benchmark::State& state) {
  const auto n = static_cast<size_t>(state.range(0));
  std::vector<float> x(n, 0.5f), y(n, 0.25f), z(n, 1.5f), out(n);
  for (auto _ : state) {
    eight_by_hand(x.data(), y.data(), z.data(), 0.5f, out.data(), state.range(0));
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(chain_of_eight_by_hand)->Arg(1000)->Arg(1000000);

void sum(benchmark::State& state) {
  const Shape x{state.range(0), state.range(1)};
  Attrs attrs;
  attrs.i[0] = state.range(2);
  time_runs(state, KernelRun(Op::sum, {x}, Shape{x[state.range(2) == 1 ? 1 : 0]}, attrs), x.numel());
}
BENCHMARK(sum)->Args({1000, 1000, 1})->Args({1000, 1000, 2});

}  // namespace
}  // namespace lazuli
