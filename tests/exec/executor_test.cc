// Checks the executor's queue, which devices share one, and what is refused before anything runs.
#include "exec/executor.h"

#include <gtest/gtest.h>

#include <deque>
#include <set>
#include <vector>

#include "lazuli/async_executor.h"
#include "lazuli/error.h"
#include "lazuli/ops.h"
#include "lazuli/transforms.h"
#include "support/cpu_settings.h"

namespace lazuli {
namespace {

/// Waits for its turn, then notes its number.
struct Numbered final : Job {
  Numbered(int n, std::vector<int>& to, std::atomic<bool>& gate) : number(n), order(to), open(gate) {}
  void run() override {
    open.wait(false);
    order.push_back(number);
  }
  void queued() override { is_queued = true; }
  int number;
  std::vector<int>& order;
  std::atomic<bool>& open;
  bool is_queued = false;
};

TEST(Executors, RunJobsInTheOrderOfTheirSubmissionHoweverManyWait) {
  auto* const executor = new Executor;  // its thread does not end
  // The queue begins with room for 64: below, at and beyond that, from another place in the ring each time.
  for (const int count : {1, 40, 63, 64, 65, 150, 500}) {
    std::vector<int> order, expected;
    std::atomic<bool> open{false};
    std::deque<Numbered> jobs;
    for (int k = 0; k < count; ++k) {
      executor->submit(&jobs.emplace_back(k, order, open));
      expected.push_back(k);
      EXPECT_TRUE(jobs.back().is_queued);
    }
    EXPECT_FALSE(executor->free_turn()) << "jobs wait";
    open = true;
    open.notify_all();
    executor->synchronize();
    EXPECT_EQ(order, expected);
    EXPECT_FALSE(executor->on_own_thread());
  }
}

TEST(Executors, BackendsOnTheHostAndEachCardHaveOneOfTheirOwn) {
  const Device devices[] = {{DeviceKind::cpu, 0}, {DeviceKind::reference, 0}, {DeviceKind::cuda, 0}, {DeviceKind::cuda, 1}};
  std::set<const Executor*> different;
  for (const Device d : devices) {
    different.insert(&Executor::of(d));
    EXPECT_EQ(&Executor::of(d), &Executor::of(d));
  }
  EXPECT_EQ(different.size(), std::size(devices));
}

TEST(Threads, AreBetween1And1024) {
  const WithThreads restored(2);
  for (const int n : {0, -1, 1025}) EXPECT_THROW(set_thread_count(n), ValueError) << n;
  EXPECT_EQ(thread_count(), 2);
  set_thread_count(1024);
  EXPECT_EQ(thread_count(), 1024);
}

TEST(AsyncExecutors, TakeBatchesOfAtLeastOne) {
  EXPECT_THROW(AsyncExecutor({{}, 0}), ValueError);
  AsyncExecutor one({{}, 1});
  EXPECT_EQ(one.submit(LazyTensor::ones({2}) + 1.0).get().to_vector<float>(), (std::vector<float>{2, 2}));
  EXPECT_EQ(one.stats().batches, 1U);
  one.flush();
  EXPECT_EQ(one.stats().batches, 1U) << "nothing waits";
  EXPECT_EQ(one.stats().submitted, 1U);
  EXPECT_THROW(one.submit({}), GraphError);
}

TEST(CompiledFunctions, EmptyOnesRefuseWhatNeedsAFunction) {
  CompiledFunction f;
  EXPECT_THROW(f({}), GraphError);
  EXPECT_THROW(f.donate({0}), GraphError);
  EXPECT_THROW(f.plan({}), GraphError);
  EXPECT_EQ(f.traces(), 0U);
  EXPECT_EQ(f.workspace_bytes(), 0U);
  EXPECT_EQ(f.peak_bytes(), 0U);
}

TEST(CompiledFunctions, ArgumentsAreChecked) {
  auto f = compile([](std::span<const LazyTensor> a) { return std::vector<LazyTensor>{a[0] + 1.0}; });
  EXPECT_EQ(f.peak_bytes(), 0U);
  EXPECT_THROW(f({Tensor()}), GraphError);
  EXPECT_THROW(f.donate({-1}), ValueError);
  EXPECT_EQ(f({Tensor::from_vector<float>({1}, {1})})[0].to_vector<float>(), (std::vector<float>{2}));
  EXPECT_EQ(f.traces(), 1U);
  EXPECT_EQ(f({Tensor::from_vector<float>({1, 2}, {2})})[0].to_vector<float>(), (std::vector<float>{2, 3}));
  EXPECT_EQ(f.traces(), 2U);
  f({Tensor::from_vector<float>({1}, {1})});
  EXPECT_EQ(f.traces(), 2U);
  EXPECT_THROW(f({Tensor()}), GraphError);
}

TEST(CompiledFunctions, NothingInsideCanBeEvaluated) {
  auto f = compile([](std::span<const LazyTensor> a) {
    (a[0] + 1.0).eval();
    return std::vector<LazyTensor>{a[0]};
  });
  EXPECT_THROW(f({Tensor::from_vector<float>({1}, {1})}), GraphError);
}

}  // namespace
}  // namespace lazuli
