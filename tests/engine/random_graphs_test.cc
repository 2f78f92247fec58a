// Two thousand random graphs: fused against double precision, asynchronous against synchronous, lazy against eager, any number of threads.
#include <gtest/gtest.h>

#include <cmath>

#include "backend/cpu/common/tuning.h"
#include "lazuli/future.h"
#include "lazuli/optimizer.h"
#include "lazuli/plan_cache.h"
#include "support/cpu_settings.h"
#include "support/random_graph.h"

namespace lazuli {
namespace {

#ifdef LAZULI_INSTRUMENTED
constexpr uint32_t kGraphs = 200;
#else
constexpr uint32_t kGraphs = 2000;
#endif

/// Runs a test with passes off, and puts them back.
class Unfused {
 public:
  Unfused() { set_optimizer(GraphOptimizer()); }
  ~Unfused() { set_optimizer(GraphOptimizer::standard()); }
};

std::vector<std::vector<Tensor>> evaluate_all(uint32_t first, uint32_t count, DType dtype) {
  std::vector<std::vector<Tensor>> results;
  for (uint32_t seed = first; seed < first + count; ++seed) results.push_back(eval(test::random_graph(seed, dtype).outputs));
  return results;
}

double distance(const Tensor& a, const Tensor& exact) {
  const auto x = a.to_vector<double>(), y = exact.to_vector<double>();
  double m = 0;
  for (size_t i = 0; i < x.size(); ++i) m = std::max(m, std::abs(x[i] - y[i]));
  return m;
}

LazyTensor evaluated(const LazyTensor& x) { return LazyTensor::from_tensor(x.eval()); }

TEST(RandomGraphs, FusedIsAsCloseToDoublePrecisionAsUnfused) {
  const auto fused = evaluate_all(0, kGraphs, DType::f32);
  const Unfused off;
  const auto unfused = evaluate_all(0, kGraphs, DType::f32);
  set_default_device({DeviceKind::reference, 0});
  for (uint32_t seed = 0; seed < kGraphs; ++seed) {
    const test::RandomGraph g = test::random_graph(seed, DType::f64);
    const auto exact = eval(g.outputs);
    double magnitude = 0;
    for (const Tensor& t : eval(g.values)) magnitude = std::max(magnitude, test::largest(t));
    const double ulp = std::ldexp(1.0, std::ilogb(static_cast<float>(magnitude)) - 23);
    for (size_t k = 0; k < exact.size(); ++k) {
      const double error = distance(fused[seed][k], exact[k]);
      const double bound = 2 * distance(unfused[seed][k], exact[k]) + 4 * ulp;
      EXPECT_LE(error, bound) << "graph " << seed << ", output " << k;
      EXPECT_LE(error, 1e-3 * std::max(1.0, magnitude)) << "graph " << seed << ", output " << k;
    }
  }
  set_default_device({});
}

TEST(RandomGraphs, AsyncEqualsSyncBitForBit) {
  const auto sync = evaluate_all(0, kGraphs, DType::f32);
  for (uint32_t first = 0; first < kGraphs; first += 50) {
    std::vector<std::vector<Future<Tensor>>> futures;
    for (uint32_t seed = first; seed < first + 50; ++seed) futures.push_back(eval_async(test::random_graph(seed, DType::f32).outputs));
    for (uint32_t k = 0; k < 50; ++k) {
      for (size_t j = 0; j < futures[k].size(); ++j) {
        EXPECT_TRUE(test::same_bits(futures[k][j].get(), sync[first + k][j])) << "graph " << first + k << ", output " << j;
      }
    }
  }
}

TEST(RandomGraphs, LazyEqualsEagerBitForBit) {
  const Unfused off;
  for (uint32_t seed = 0; seed < kGraphs; ++seed) {
    const auto lazy = eval(test::random_graph(seed, DType::f32).outputs);
    const auto eager = eval(test::random_graph(seed, DType::f32, evaluated).outputs);
    for (size_t j = 0; j < lazy.size(); ++j) EXPECT_TRUE(test::same_bits(lazy[j], eager[j])) << "graph " << seed << ", output " << j;
  }
}

TEST(RandomGraphs, AnyNumberOfThreadsGivesTheSameBits) {
  const auto expected = evaluate_all(0, kGraphs, DType::f32);
  for (int n : {1, 2, 3, 5}) {
    const WithThreads threads(n);
    for (uint32_t seed = 0; seed < kGraphs; seed += 4) {
      std::vector<Tensor> got;
      for (auto& f : eval_async(test::random_graph(seed, DType::f32).outputs)) got.push_back(f.get());
      for (size_t j = 0; j < got.size(); ++j)
        EXPECT_TRUE(test::same_bits(got[j], expected[seed][j])) << "graph " << seed << ", threads " << n;
    }
  }
}

TEST(RandomGraphs, SmallStepsSideBySideGiveTheSameBits) {
  const cpu::Tuning before = cpu::tuning();
  for (const bool fused : {true, false}) {
    if (!fused) set_optimizer(GraphOptimizer());
    clear_plan_cache();
    const auto expected = evaluate_all(0, kGraphs / 8, DType::f32);
    cpu::Tuning tuning = before;
    tuning.inline_ns = tuning.threads_ns = 0;  // as if all of them were long
    cpu::set_tuning(tuning);
    for (int n : {1, 2, 3}) {
      const WithThreads threads(n);
      clear_plan_cache();
      const auto got = evaluate_all(0, kGraphs / 8, DType::f32);
      for (size_t seed = 0; seed < got.size(); ++seed) {
        for (size_t j = 0; j < got[seed].size(); ++j) EXPECT_TRUE(test::same_bits(got[seed][j], expected[seed][j])) << "graph " << seed;
      }
    }
    cpu::set_tuning(before);
  }
  set_optimizer(GraphOptimizer::standard());
}

TEST(RandomGraphs, EvaluatingOutputsOneByOneGivesTheSameBitsAsTogetherWhenNothingIsFused) {
  const Unfused off;
  for (uint32_t seed = 0; seed < kGraphs; seed += 10) {
    const auto together = eval(test::random_graph(seed, DType::f32).outputs);
    const auto g = test::random_graph(seed, DType::f32);
    for (size_t j = 0; j < together.size(); ++j) EXPECT_TRUE(test::same_bits(g.outputs[j].eval(), together[j])) << "graph " << seed;
  }
}

}  // namespace
}  // namespace lazuli
