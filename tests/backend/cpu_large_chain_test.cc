// Checks elementwise chains whose results are too large for the caches and go past them.
#include <gtest/gtest.h>

#include "lazuli/ops.h"
#include "lazuli/transforms.h"

namespace lazuli {
namespace {

constexpr int64_t kLarge = (int64_t{4} << 20) + 4099;  // not a whole number of tiles or vectors

std::vector<float> counted() {
  std::vector<float> values(static_cast<size_t>(kLarge));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 1000) - 500.0f;
  return values;
}

TEST(CpuLargeChain, LargeResultsAreWhole) {
  const std::vector<float> values = counted();
  const LazyTensor x = LazyTensor::from_tensor(Tensor::from_vector<float>(values, {kLarge}));
  const LazyTensor doubled = x * 2.0 + 1.0;
  const auto results = eval(std::vector<LazyTensor>{doubled, doubled * x});
  const auto a = results[0].to_vector<float>(), b = results[1].to_vector<float>();
  for (size_t i = 0; i < values.size(); ++i) {
    const float want = values[i] * 2.0f + 1.0f;
    ASSERT_EQ(a[i], want) << i;
    ASSERT_EQ(b[i], want * values[i]) << i;
  }
}

TEST(CpuLargeChain, ALargeResultThatTakesItsOperandsMemoryIsWhole) {
  const std::vector<float> values = counted();
  CompiledFunction f = compile([](std::span<const LazyTensor> in) { return std::vector<LazyTensor>{in[0] * 3.0 - 1.0}; });
  f.donate({0});
  std::vector<Tensor> arguments{Tensor::from_vector<float>(values, {kLarge})};
  const void* memory = arguments[0].raw();
  std::vector<Tensor> results;
  f.call(arguments, results);
  EXPECT_EQ(results[0].raw(), memory);
  const auto got = results[0].to_vector<float>();
  for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(got[i], values[i] * 3.0f - 1.0f) << i;
}

TEST(CpuLargeChain, LargeResultsThatDoNotBeginAtAVectorAreWhole) {
  // A result is a buffer of its own; what begins elsewhere is the next kernel's view of it.
  const std::vector<float> values = counted();
  const LazyTensor x = LazyTensor::from_tensor(Tensor::from_vector<float>(values, {kLarge}));
  const auto got = (slice(x, 0, 3, kLarge) * 2.0 + 1.0).eval().to_vector<float>();
  ASSERT_EQ(got.size(), values.size() - 3);
  for (size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], values[i + 3] * 2.0f + 1.0f) << i;
}

}  // namespace
}  // namespace lazuli
