// Threads that share nodes, plans and executors: results are right and nothing races.
#include <gtest/gtest.h>

#include <coroutine>
#include <latch>
#include <random>
#include <thread>

#include "exec/executor.h"
#include "exec/shared_tasks.h"
#include "lazuli/async_executor.h"
#include "lazuli/ops.h"
#include "lazuli/plan_cache.h"

namespace lazuli {
namespace {

constexpr int kThreads = 8;

template <class F>
void on_threads(F f) {
  std::vector<std::thread> threads;
  std::latch start(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      start.arrive_and_wait();
      f(t);
    });
  }
  for (std::thread& t : threads) t.join();
}

LazyTensor counting(int64_t n) {
  return LazyTensor::from_tensor(Tensor::from_vector<float>(std::vector<float>(static_cast<size_t>(n), 1.0f), {n}));
}

TEST(ThreadStress, EightThreadsEvaluateTheSameNode) {
  for (int round = 0; round < 50; ++round) {
    LazyTensor x = counting(64);
    LazyTensor y = x;
    for (int i = 0; i < 10; ++i) y = y + x;
    std::vector<const void*> seen(kThreads);
    on_threads([&](int t) {
      Tensor r = y.eval();
      seen[static_cast<size_t>(t)] = r.raw();
      EXPECT_EQ(r.to_vector<float>()[63], 11.0f);
    });
    for (const void* p : seen) EXPECT_EQ(p, seen[0]) << "the output was computed more than once";
  }
}

TEST(ThreadStress, EightThreadsBuildOnSharedNodesWhileTheyArePublished) {
  for (int round = 0; round < 20; ++round) {
    std::vector<LazyTensor> shared{counting(32)};
    for (int i = 0; i < 30; ++i) shared.push_back(shared.back() + 1.0);
    on_threads([&](int t) {
      std::mt19937 rng(static_cast<unsigned>(round * 100 + t));
      for (int k = 0; k < 40; ++k) {
        const size_t i = rng() % shared.size();
        LazyTensor mine = shared[i] * 2.0 + shared[rng() % shared.size()] * 0.0;
        Tensor r = k % 3 == 0 ? mine.eval_async().get() : mine.eval();
        EXPECT_EQ(r.to_vector<float>()[5], 2.0f * (1.0f + static_cast<float>(i)));
        if (k % 5 == 0) shared[i].eval();
      }
    });
  }
}

TEST(ThreadStress, GroupsOfOutputsThatDependOnEachOtherDoNotDeadlock) {
  for (int round = 0; round < 50; ++round) {
    LazyTensor x = counting(16);
    LazyTensor y1 = x + 1.0, x2 = x + 2.0;
    LazyTensor x1 = y1 * 2.0, y2 = x2 * 3.0;
    on_threads([&](int t) {
      const std::vector<LazyTensor> group = t % 2 == 0 ? std::vector<LazyTensor>{x1, x2} : std::vector<LazyTensor>{y1, y2};
      auto r = eval(group);
      EXPECT_EQ(r[0].to_vector<float>()[0], t % 2 == 0 ? 4.0f : 2.0f);
      EXPECT_EQ(r[1].to_vector<float>()[0], t % 2 == 0 ? 3.0f : 9.0f);
    });
  }
}

TEST(ThreadStress, OneBatchIsFedByEightThreads) {
  AsyncExecutor executor({{}, 7});
  on_threads([&](int t) {
    std::vector<Future<Tensor>> futures;
    for (int i = 0; i < 50; ++i) futures.push_back(executor.submit(counting(8) * static_cast<double>(t * 100 + i)));
    for (int i = 0; i < 50; ++i) EXPECT_EQ(futures[static_cast<size_t>(i)].get().to_vector<float>()[0], static_cast<float>(t * 100 + i));
  });
}

TEST(ThreadStress, ThePlanCacheIsSharedAndBounded) {
  set_plan_cache_limits(4, size_t{64} << 20);
  on_threads([&](int t) {
    for (int i = 0; i < 60; ++i) EXPECT_EQ((counting(8 + (i + t) % 9) * 2.0).eval().to_vector<float>()[0], 2.0f);
  });
  EXPECT_LE(plan_cache_stats().entries, 4u);
  EXPECT_GT(plan_cache_stats().evictions, 0u);
  set_plan_cache_limits(512, size_t{256} << 20);
}

// What a run announces when it is queued, later runs count on: they must not come before it.
TEST(ThreadStress, JobsRunInTheOrderInWhichTheyAreQueued) {
  struct Order {
    std::vector<const Job*> queued, run;  // the executor's lock and its one thread protect them
  };
  struct Ordered final : Job {
    void queued() override { order->queued.push_back(this); }
    void run() override { order->run.push_back(this); }
    Order* order = nullptr;
  };
  constexpr int kJobs = 200;
  Order order;
  std::vector<Ordered> jobs(kThreads * kJobs);
  for (Ordered& job : jobs) job.order = &order;
  Executor& executor = Executor::of(Device{});
  on_threads([&](int t) {
    for (int i = 0; i < kJobs; ++i) executor.submit(&jobs[static_cast<size_t>(t * kJobs + i)]);
  });
  executor.synchronize();
  EXPECT_EQ(order.queued.size(), jobs.size());
  EXPECT_EQ(order.queued, order.run);
}

struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

Detached await_and_go_on(LazyTensor x, std::atomic<float>& result) {
  Tensor first = co_await (x * 2.0).eval_async();
  Tensor second = co_await (LazyTensor::from_tensor(first) + 1.0).eval_async();
  const float value = (LazyTensor::from_tensor(second) * 10.0).eval().to_vector<float>()[0];
  result.store(value);
  result.notify_all();
}

TEST(FutureTest, ACoroutineAwaitsResultsAndEvaluatesInBetween) {
  for (int round = 0; round < 50; ++round) {
    std::atomic<float> result{-1.0f};
    await_and_go_on(counting(4), result);
    result.wait(-1.0f);
    EXPECT_EQ(result.load(), 30.0f);
  }
}

TEST(TeamStress, RegionsOfManySizesAreDoneWhollyByWhoeverComes) {
  static auto* const team = new Team;  // its threads live as long as the process
  for (int round = 0; round < 2000; ++round) {
    const int threads = 1 + round % 5;
    struct Region {
      SharedTasks tasks;
      std::vector<int> done;
      std::atomic<unsigned> came{0};
    } region{SharedTasks(round % 97, threads), std::vector<int>(static_cast<size_t>(round % 97)), {}};
    if (round % 7 == 0) team->attend(threads);
    team->run(
        threads,
        [](void* context, int thread) {
          auto& r = *static_cast<Region*>(context);
          EXPECT_EQ(r.came.fetch_or(1u << thread) & (1u << thread), 0u) << "thread " << thread << " came twice";
          for (SharedTasks::Range range = r.tasks.take(thread); range.begin < range.end; range = r.tasks.take(thread)) {
            for (int64_t i = range.begin; i < range.end; ++i) ++r.done[static_cast<size_t>(i)];
          }
        },
        &region);
    EXPECT_EQ(region.came.load() & 1u, 1u) << "the caller works, too";
    EXPECT_LT(region.came.load(), 1u << threads);
    for (int n : region.done) ASSERT_EQ(n, 1);
    // Now and then long enough for helpers to fall asleep.
    if (round % 400 == 399) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

TEST(ThreadStress, ThreadsThatWaitForLongRunsTakeTurns) {
  const LazyTensor w = LazyTensor::from_tensor(Tensor::from_vector<float>(std::vector<float>(256 * 256, 0.5f), {256, 256}));
  on_threads([&](int t) {
    for (int i = 0; i < 10; ++i) {
      const LazyTensor x = LazyTensor::from_tensor(Tensor::from_vector<float>(std::vector<float>(256 * 256, 1.0f), {256, 256}));
      const LazyTensor y = matmul(x, w);
      const LazyTensor z = matmul(y, w) * static_cast<double>(t + 1);
      // Some hand over, others do the work themselves; some count on what others are still computing.
      if ((i + t) % 3 == 0) y.eval_async();
      const Tensor r = (i + t) % 2 == 0 ? z.eval() : z.eval_async().get();
      EXPECT_EQ(r.to_vector<float>()[256 * 256 - 1], 128.0f * 128.0f * static_cast<float>(t + 1));
    }
  });
}

}  // namespace
}  // namespace lazuli
