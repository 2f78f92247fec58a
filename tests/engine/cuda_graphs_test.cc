// Random graphs and compiled functions on a CUDA device: against double precision, repeated, replayed from a recording, and out of memory.
#include <gtest/gtest.h>

#include <cmath>

#include "lazuli/future.h"
#include "lazuli/memory.h"
#include "lazuli/ops.h"
#include "lazuli/transforms.h"
#include "support/cuda_device.h"
#include "support/random_graph.h"

namespace lazuli {
namespace {

constexpr Device kCuda{DeviceKind::cuda, 0};
using test::OnCuda;
constexpr uint32_t kCudaGraphs = 500;

TEST(CudaGraphs, RandomGraphsAreCloseToDoublePrecision) {
  LAZULI_NEEDS_CUDA();
  for (uint32_t seed = 0; seed < kCudaGraphs; ++seed) {
    std::vector<Tensor> got, exact;
    double magnitude = 1;
    {
      const OnCuda device;
      got = eval(test::random_graph(seed, DType::f32).outputs);
    }
    set_default_device({DeviceKind::reference, 0});
    const test::RandomGraph g = test::random_graph(seed, DType::f64);
    exact = eval(g.outputs);
    for (const Tensor& t : eval(g.values)) magnitude = std::max(magnitude, test::largest(t));
    set_default_device({});
    for (size_t k = 0; k < exact.size(); ++k) {
      const auto x = got[k].to_vector<double>(), y = exact[k].to_vector<double>();
      ASSERT_EQ(x.size(), y.size());
      for (size_t i = 0; i < x.size(); ++i) EXPECT_LE(std::abs(x[i] - y[i]), 1e-3 * magnitude) << "graph " << seed << ", output " << k;
    }
  }
}

TEST(CudaGraphs, RepeatedRunsGiveTheSameBits) {
  LAZULI_NEEDS_CUDA();
  const OnCuda device;
  for (uint32_t seed = 0; seed < kCudaGraphs; seed += 5) {
    const auto once = eval(test::random_graph(seed, DType::f32).outputs);
    for (int turn = 0; turn < 4; ++turn) {  // the third one is replayed from a recording
      std::vector<Tensor> again;
      for (auto& f : eval_async(test::random_graph(seed, DType::f32).outputs)) again.push_back(f.get());
      for (size_t k = 0; k < once.size(); ++k) EXPECT_TRUE(test::same_bits(again[k], once[k])) << "graph " << seed << ", turn " << turn;
    }
  }
}

TEST(CudaGraphs, ADonatedStateIsUpdatedInPlaceInEveryReplay) {
  LAZULI_NEEDS_CUDA();
  const int64_t n = 1000;
  CompiledFunction step = compile(
      [](std::span<const LazyTensor> args) {
        const LazyTensor moved = args[0] + args[1];
        return std::vector<LazyTensor>{tanh(moved) * args[1] + moved, sum(softmax(moved, 0) + exp(args[1]), {0})};
      },
      kCuda);
  step.donate({0});
  CompiledFunction host = compile(
      [](std::span<const LazyTensor> args) {
        const LazyTensor moved = args[0] + args[1];
        return std::vector<LazyTensor>{tanh(moved) * args[1] + moved, sum(softmax(moved, 0) + exp(args[1]), {0})};
      },
      Device{});
  std::vector<float> delta(n);
  for (size_t k = 0; k < delta.size(); ++k) delta[k] = 0.001f * static_cast<float>(k % 17);
  Tensor state = Tensor::zeros(DType::f32, {n}, kCuda), wanted = Tensor::zeros(DType::f32, {n});
  const Tensor d = Tensor::from_vector(delta, {n});
  for (int turn = 0; turn < 20; ++turn) {
    std::vector<Tensor> args = {state, d.to(kCuda)}, results;
    state = Tensor();
    step.call(args, results);
    state = results[0];
    wanted = host({wanted, d})[0];
  }
  const auto got = state.to_vector<float>(), want = wanted.to_vector<float>();
  for (size_t k = 0; k < got.size(); ++k) EXPECT_NEAR(got[k], want[k], 1e-5f) << k;
}

TEST(CudaGraphs, InputsAndResultsMoveBetweenDevicesByThemselves) {
  LAZULI_NEEDS_CUDA();
  const Tensor host = Tensor::from_vector<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  const LazyTensor x = LazyTensor::from_tensor(host);
  Tensor there;
  {
    const OnCuda device;
    there = transpose(x).mul_scalar(1).eval();
  }
  EXPECT_EQ(there.device(), kCuda);
  EXPECT_EQ(there.to_vector<float>(), (std::vector<float>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ((LazyTensor::from_tensor(there) + LazyTensor::from_tensor(there)).eval().to_vector<float>(),
            (std::vector<float>{2, 8, 4, 10, 6, 12}));
}

TEST(CudaGraphs, TwoCardsComputeTheSameAndExchangeTensors) {
  LAZULI_NEEDS_CUDA();
  std::string problem;
  if (cuda::device_count(&problem) < 2) GTEST_SKIP() << "one CUDA device is here";
  constexpr Device second{DeviceKind::cuda, 1};
  const auto step = [](std::span<const LazyTensor> a) {
    return std::vector<LazyTensor>{softmax(matmul(a[0], a[1]), 1), sum(tanh(a[0]) * a[0], {1}), a[0] + a[1], exp(a[1])};
  };
  CompiledFunction first_step = compile(step, kCuda), second_step = compile(step, second);
  std::vector<float> values(64 * 64);
  for (size_t k = 0; k < values.size(); ++k) values[k] = static_cast<float>(k % 37) / 37 - 0.5f;
  const Tensor here = Tensor::from_vector(values, {64, 64}, kCuda), there = here.to(second);
  EXPECT_EQ(there.device(), second);
  EXPECT_TRUE(test::same_bits(here, there));
  for (int turn = 0; turn < 4; ++turn) {  // launched, recorded, replayed
    const std::vector<Tensor> given[] = {{here, here}, {there, there}};
    const std::vector<Tensor> one = first_step(given[0]), two = second_step(given[1]);
    for (size_t k = 0; k < one.size(); ++k) {
      EXPECT_EQ(two[k].device(), second);
      EXPECT_TRUE(test::same_bits(one[k], two[k])) << k;
    }
  }
  EXPECT_TRUE(test::same_bits(there.to(kCuda), here));
}

TEST(CudaGraphs, OutOfMemoryIsTypedAndLeavesTheDeviceUsable) {
  LAZULI_NEEDS_CUDA();
  const OnCuda device;
  EXPECT_THROW(LazyTensor::ones({1 << 20, 1 << 20}).eval(), OutOfMemory);
  EXPECT_EQ(LazyTensor::ones({3}).eval().to_vector<float>(), (std::vector<float>{1, 1, 1}));
  const size_t limit = memory_stats(kCuda).limit_bytes;
  set_memory_limit(size_t{1} << 20, kCuda);
  EXPECT_THROW(LazyTensor::ones({1 << 28}).eval(), OutOfMemory) << "no test leaves a buffer of 1 GB in the pool";
  set_memory_limit(limit, kCuda);
}

}  // namespace
}  // namespace lazuli
