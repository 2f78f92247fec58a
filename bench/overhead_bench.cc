// Costs around the kernels: recording, evaluating a cached plan, compiled calls, asynchronous submission.
#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>

#include "exec/team.h"
#include "lazuli/eager.h"
#include "lazuli/future.h"
#include "lazuli/ops.h"
#include "lazuli/transforms.h"

namespace lazuli {
namespace {

Tensor ones(const Shape& shape) {
  Tensor t = Tensor::empty(DType::f32, shape);
  for (float& v : t.mutable_data<float>()) v = 0.5f;
  return t;
}
LazyTensor leaf(const Shape& shape) { return LazyTensor::from_tensor(ones(shape)); }

/// Time for one recorded op of a chain; the chain is dropped outside the timing every 1,000 ops.
void record_op(benchmark::State& state) {
  LazyTensor x = leaf({64}), y = x;
  int64_t n = 0;
  for (auto _ : state) {
    y = y + x;
    if (++n % 1000 == 0) {
      state.PauseTiming();
      y = x;
      state.ResumeTiming();
    }
  }
}
BENCHMARK(record_op);

/// Records n matrix products of 1x1 (which are not fused), each of the one before; all of them.
std::vector<LazyTensor> chain(const LazyTensor& x, int64_t n) {
  std::vector<LazyTensor> nodes = {x};
  for (int64_t k = 0; k < n; ++k) nodes.push_back(matmul(nodes.back(), x));
  return nodes;
}

/// Evaluating a recorded chain; recording it and dropping its nodes are outside the timing. Less compiled_chain, which runs the same
/// kernels, this is what eval costs before the first of them.
void eval_recorded_chain(benchmark::State& state) {
  LazyTensor x = leaf({1, 1});
  std::vector<std::vector<LazyTensor>> chains;
  size_t next = 0;
  for (auto _ : state) {
    if (next == chains.size()) {
      state.PauseTiming();
      chains.clear();
      for (int k = 0; k < 8; ++k) chains.push_back(chain(x, state.range(0)));
      next = 0;
      state.ResumeTiming();
    }
    benchmark::DoNotOptimize(chains[next++].back().eval());
  }
}
BENCHMARK(eval_recorded_chain)->Arg(1)->Arg(10)->Arg(100)->Arg(300);

void compiled_chain(benchmark::State& state) {
  auto f = compile([&](std::span<const LazyTensor> a) { return std::vector<LazyTensor>{chain(a[0], state.range(0)).back()}; });
  Tensor args[] = {ones({1, 1})};
  std::vector<Tensor> results;
  for (auto _ : state) f.call(args, results);
}
BENCHMARK(compiled_chain)->Arg(1)->Arg(10)->Arg(100)->Arg(300);

void compiled_call(benchmark::State& state) {
  auto f = compile([](std::span<const LazyTensor> a) { return std::vector<LazyTensor>{a[0] + a[1]}; });
  Tensor args[] = {ones({16}), ones({16})};
  std::vector<Tensor> results;
  for (auto _ : state) f.call(args, results);
}
BENCHMARK(compiled_call);

void eval_sync(benchmark::State& state) {
  LazyTensor x = leaf({64});
  for (auto _ : state) benchmark::DoNotOptimize((x + x).eval());
}
BENCHMARK(eval_sync);

/// Time until eval_async returns; the results are awaited outside the timing.
void eval_async_submit(benchmark::State& state) {
  LazyTensor x = leaf({64});
  std::vector<Future<Tensor>> futures;
  for (auto _ : state) {
    futures.push_back((x + x).eval_async());
    if (futures.size() == 64) {
      state.PauseTiming();
      for (auto& f : futures) f.wait();
      futures.clear();
      state.ResumeTiming();
    }
  }
}
BENCHMARK(eval_async_submit);

void eval_async_and_wait(benchmark::State& state) {
  LazyTensor x = leaf({64});
  for (auto _ : state) benchmark::DoNotOptimize((x + x).eval_async().get());
}
BENCHMARK(eval_async_and_wait)->UseRealTime();

void lora_1x512_rank8(benchmark::State& state) {
  LazyTensor x = leaf({1, 512}), a = leaf({512, 8}), b = leaf({8, 512});
  for (auto _ : state) benchmark::DoNotOptimize(lora_fused(x, a, b, 2.0).eval());
}
BENCHMARK(lora_1x512_rank8);

/// The same written with matrix products; the optimiser finds the pattern.
void lora_1x512_rank8_primitives(benchmark::State& state) {
  LazyTensor x = leaf({1, 512}), a = leaf({512, 8}), b = leaf({8, 512});
  for (auto _ : state) benchmark::DoNotOptimize((matmul(matmul(x, a), b) * 2.0).eval());
}
BENCHMARK(lora_1x512_rank8_primitives);

void softmax_1x1024(benchmark::State& state) {
  LazyTensor x = leaf({1, 1024});
  for (auto _ : state) benchmark::DoNotOptimize(softmax(x).eval());
}
BENCHMARK(softmax_1x1024);

void rms_norm_1x1024(benchmark::State& state) {
  LazyTensor x = leaf({1, 1024}), w = leaf({1024});
  for (auto _ : state) benchmark::DoNotOptimize(rms_norm(x, w).eval());
}
BENCHMARK(rms_norm_1x1024);

/// eager:: against the plan's kernel through a compiled call, for work of 20 us and more.
void eager_softmax_256x1024(benchmark::State& state) {
  Tensor x = ones({256, 1024});
  for (auto _ : state) benchmark::DoNotOptimize(eager::softmax(x));
}
BENCHMARK(eager_softmax_256x1024)->UseRealTime();
void compiled_softmax_256x1024(benchmark::State& state) {
  auto f = compile([](std::span<const LazyTensor> a) { return std::vector<LazyTensor>{softmax(a[0])}; });
  Tensor args[] = {ones({256, 1024})};
  std::vector<Tensor> results;
  for (auto _ : state) f.call(args, results);
}
BENCHMARK(compiled_softmax_256x1024)->UseRealTime();

/// Work of 20 us that two threads share, some microseconds after the work before: the time beyond its half.
void team_region(benchmark::State& state) {
  using Clock = std::chrono::steady_clock;
  const auto busy = [](std::chrono::nanoseconds time) {
    for (const auto end = Clock::now() + time; Clock::now() < end;) {
    }
  };
  Team team;
  std::atomic<int> parts{0};
  struct Shared {
    decltype(busy)& wait;
    std::atomic<int>& left;
  } shared{busy, parts};
  for (auto _ : state) {
    busy(std::chrono::microseconds(state.range(0)));
    parts = 2;
    const auto start = Clock::now();
    team.run(
        2,
        [](void* context, int) {
          auto& s = *static_cast<Shared*>(context);
          while (s.left.fetch_sub(1) > 0) s.wait(std::chrono::microseconds(10));
        },
        &shared);
    state.SetIterationTime(std::chrono::duration<double>(Clock::now() - start - std::chrono::microseconds(10)).count());
  }
}
BENCHMARK(team_region)->Arg(0)->Arg(50)->Arg(200)->Arg(1000)->Iterations(5000)->UseManualTime();

}  // namespace
}  // namespace lazuli

BENCHMARK_MAIN();
