// Evaluation: results, sharing, failures, views, donation.
#include <gtest/gtest.h>

#include <thread>

#include "lazuli/async_executor.h"
#include "lazuli/eager.h"
#include "lazuli/error.h"
#include "lazuli/future.h"
#include "lazuli/ops.h"
#include "lazuli/plan_cache.h"
#include "lazuli/transforms.h"
#include "support/memory_limit.h"

namespace lazuli {
namespace {

LazyTensor vec(std::initializer_list<float> v) { return LazyTensor::from_slice<float>(v, {static_cast<int64_t>(v.size())}); }
std::vector<float> values(const LazyTensor& t) { return t.eval().to_vector<float>(); }

TEST(Eval, ComputesAChainOfElementwiseOps) {
  LazyTensor x = vec({1, 2, 3});
  LazyTensor y = (x + x) * x - 1.0;
  EXPECT_EQ(values(y), (std::vector<float>{1, 7, 17}));
}

TEST(Eval, KeepsTheResultAndComputesItOnce) {
  LazyTensor y = vec({1, 2}) * 3.0;
  EXPECT_FALSE(y.is_ready());
  Tensor first = y.eval();
  EXPECT_TRUE(y.is_ready());
  EXPECT_EQ(first.raw(), y.eval().raw());
  EXPECT_EQ(y.graph_size(), 1u);
}

TEST(Eval, SharesOneSubgraphBetweenSeveralResults) {
  LazyTensor s = vec({1, 2}) + 1.0;
  std::vector<LazyTensor> wanted{s * 2.0, s * 3.0};
  auto r = eval(wanted);
  EXPECT_EQ(r[0].to_vector<float>(), (std::vector<float>{4, 6}));
  EXPECT_EQ(r[1].to_vector<float>(), (std::vector<float>{6, 9}));
}

TEST(Eval, ViewsShareMemoryWithTheirSource) {
  Tensor t = Tensor::from_vector<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  LazyTensor x = LazyTensor::from_tensor(t);
  Tensor v = transpose(x).eval();
  EXPECT_EQ(v.raw(), t.raw());
  EXPECT_EQ(v.to_vector<float>(), (std::vector<float>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(x.slice(1, 1, 3).eval().to_vector<float>(), (std::vector<float>{2, 3, 5, 6}));
  EXPECT_EQ(transpose(x).reshape({6}).eval().to_vector<float>(), (std::vector<float>{1, 4, 2, 5, 3, 6}));
}

TEST(Eval, AStridedInputEntersOps) {
  LazyTensor x = LazyTensor::from_slice<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  LazyTensor v = LazyTensor::from_tensor(transpose(x).eval());
  EXPECT_EQ(values(v + v), (std::vector<float>{2, 8, 4, 10, 6, 12}));
}

TEST(Eval, ScalarsChangeWithoutANewPlan) {
  LazyTensor x = vec({1, 2});
  values(x * 2.0);
  const auto before = plan_cache_stats();
  EXPECT_EQ(values(x * 5.0), (std::vector<float>{5, 10}));
  EXPECT_EQ(plan_cache_stats().misses, before.misses);
  EXPECT_EQ(plan_cache_stats().hits, before.hits + 1);
}

TEST(Eval, OtherSizesReuseTheStructure) {
  clear_plan_cache();
  values(vec({1, 2, 3}) * 2.0);
  values(vec({1, 2, 3, 4}) * 2.0);
  const auto s = plan_cache_stats();
  EXPECT_EQ(s.misses, 2u);
  EXPECT_EQ(s.specialisations, 1u);
  EXPECT_EQ(s.last_miss, "dimension 0 of node 0 (input): 4, was 3");
}

TEST(Eval, ADonatedBufferIsUpdatedInPlace) {
  LazyTensor x = LazyTensor::from_tensor(Tensor::from_vector<float>({1, 2, 3, 4}, {4}));
  const void* memory = x.eval().raw();
  const int64_t starts[] = {1};
  LazyTensor y = slice_update(std::move(x), vec({9, 9}), starts);
  Tensor r = y.eval();
  EXPECT_EQ(r.raw(), memory);
  EXPECT_EQ(r.to_vector<float>(), (std::vector<float>{1, 9, 9, 4}));
  EXPECT_THROW(x.shape(), GraphError);  // NOLINT(bugprone-use-after-move): emptied by contract
}

TEST(Eval, ADonatedBufferIsUpdatedInPlaceRowByRow) {
  LazyTensor x = LazyTensor::from_tensor(Tensor::from_vector<float>({1, 2, 3, 4, 5, 6}, {2, 3}));
  const void* memory = x.eval().raw();
  const int64_t starts[] = {0, 0};
  const LazyTensor update = reshape(vec({8, 9}), {2, 1}), offsets = LazyTensor::from_slice<int32_t>({2, 0}, {2});
  const Tensor r = slice_update(std::move(x), update, starts, {}, offsets, 1).eval();
  EXPECT_EQ(r.raw(), memory);
  EXPECT_EQ(r.to_vector<float>(), (std::vector<float>{1, 2, 8, 9, 5, 6}));
}

TEST(Eval, ADonatedBufferWithAnotherOwnerIsCopied) {
  Tensor t = Tensor::from_vector<float>({1, 2, 3, 4}, {4});
  LazyTensor x = LazyTensor::from_tensor(t);
  const int64_t starts[] = {1};
  Tensor r = slice_update(std::move(x), vec({9, 9}), starts).eval();
  EXPECT_NE(r.raw(), t.raw());
  EXPECT_EQ(t.to_vector<float>(), (std::vector<float>{1, 2, 3, 4}));
}

TEST(Eval, AMillionStepsHoldConstantMemory) {
  LazyTensor x = vec({0, 1});
  for (int i = 0; i < 1000000; ++i) {
    x = x + 1.0;
    x.eval();
  }
  EXPECT_EQ(values(x), (std::vector<float>{1000000, 1000001}));
}

TEST(Eval, AChainOfAMillionNodesIsDroppedWithoutRecursion) {
  LazyTensor x = vec({0, 1});
  for (int i = 0; i < 1000000; ++i) x = x + 1.0;
  EXPECT_GE(x.graph_size(), 1000000u);
}

TEST(Eval, AnErrorOfTheRunNamesOpShapesAndPlace) {
  LazyTensor bad = gather(vec({1, 2}), LazyTensor::from_slice<int32_t>({5}, {1}));
  try {
    bad.eval();
    FAIL() << "no error";
  } catch (const ValueError& e) {
    EXPECT_NE(std::string(e.what()).find("gather"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("eval_test.cc"), std::string::npos) << e.what();
  }
  EXPECT_THROW(bad.eval(), ValueError);
}

TEST(Eval, AnErrorNamesTheCallThatFailedNotAnEarlierOneOfTheSameStructure) {
  auto message = [](const LazyTensor& t) {
    try {
      t.eval();
    } catch (const ValueError& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  const LazyTensor x = vec({1, 2});
  EXPECT_TRUE(gather(x, LazyTensor::from_slice<int32_t>({1}, {1})).eval().defined());
  const LazyTensor bad = gather(x, LazyTensor::from_slice<int32_t>({5}, {1}));
  const int line = __LINE__ - 1;
  EXPECT_NE(message(bad).find("eval_test.cc:" + std::to_string(line)), std::string::npos) << message(bad);
}

TEST(AsyncEval, ReturnsAFutureThatHoldsTheResult) {
  LazyTensor x = vec({1, 2, 3});
  Future<Tensor> f = (x * 2.0).eval_async();
  EXPECT_EQ(f.get().to_vector<float>(), (std::vector<float>{2, 4, 6}));
}

TEST(AsyncEval, ALaterRunUsesAnEarlierOneInFlight) {
  LazyTensor x = LazyTensor::ones({1000});
  std::vector<Future<Tensor>> all;
  for (int i = 0; i < 100; ++i) {
    x = x + 1.0;
    all.push_back(x.eval_async());
  }
  EXPECT_EQ(all.back().get().to_vector<float>()[7], 101.0f);
}

TEST(AsyncExecutorTest, GathersABatchAndFlushes) {
  AsyncExecutor ex({{}, 4});
  std::vector<Future<Tensor>> f;
  for (int i = 0; i < 6; ++i) f.push_back(ex.submit(vec({1, 2}) * static_cast<double>(i)));
  EXPECT_EQ(ex.stats().batches, 1u);
  ex.flush();
  EXPECT_EQ(ex.stats().batches, 2u);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(f[static_cast<size_t>(i)].get().to_vector<float>()[1], 2.0f * static_cast<float>(i));
}

TEST(Compile, TracesOnceAndDonates) {
  int calls = 0;
  auto f = compile([&](std::span<const LazyTensor> a) {
    ++calls;
    return std::vector<LazyTensor>{a[0] + a[1], a[0] * 2.0};
  });
  f.donate({0});
  for (int i = 0; i < 3; ++i) {
    Tensor a = Tensor::from_vector<float>({1, 2}, {2});
    Tensor b = Tensor::from_vector<float>({10, 20}, {2});
    std::vector<Tensor> args;
    args.push_back(std::move(a));
    args.push_back(b);
    auto r = f(std::move(args));
    EXPECT_EQ(r[0].to_vector<float>(), (std::vector<float>{11, 22}));
    EXPECT_EQ(r[1].to_vector<float>(), (std::vector<float>{2, 4}));
  }
  EXPECT_EQ(calls, 1);
}

TEST(Compile, AnEmptyTensorIsRefusedAlsoWhereATraceIsKept) {
  auto f = compile([](std::span<const LazyTensor> a) { return std::vector<LazyTensor>{a[0] * 2.0}; });
  EXPECT_THROW(f({Tensor()}), GraphError);
  // What looks most like an empty one: a number of f32.
  EXPECT_EQ(f({Tensor::from_vector<float>({3}, {})})[0].to_vector<float>(), (std::vector<float>{6}));
  EXPECT_THROW(f({Tensor()}), GraphError);
}

TEST(Compile, MemoryIsAskedForBeforeEveryFirstRun) {
  auto f = compile([](std::span<const LazyTensor> a) { return std::vector<LazyTensor>{matmul(a[0], a[0]) + a[0]}; });
  const Tensor x = Tensor::zeros(DType::f32, {1000, 1000});
  {
    const test::MemoryFor bound(size_t{1} << 20);
    for (int k = 0; k < 2; ++k) {
      try {
        f({x});
        FAIL();
      } catch (const OutOfMemory& e) {
        EXPECT_EQ(std::string(e.what()).find("[compile]"), 0U) << e.what();
      }
    }
  }
  EXPECT_EQ(f({x})[0].shape(), Shape({1000, 1000}));
}

TEST(Eager, IsTheLazyOpEvaluated) {
  Tensor a = Tensor::from_vector<float>({1, 2, 3, 4}, {2, 2});
  EXPECT_EQ(eager::matmul(a, a).to_vector<float>(), (std::vector<float>{7, 10, 15, 22}));
}

}  // namespace
}  // namespace lazuli
