#include "plan/waves.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "backend/backend.h"
#include "lazuli/graph.h"
#include "lazuli/op.h"
#include "plan/plan.h"

namespace lazuli {
namespace {

using Steps = std::vector<int32_t>;

TEST(WaveOrder, IndependentChainsAdvanceTogether) {
  WaveOrder order(12, 1000);
  for (int32_t k = 0; k < 12; ++k) order.add(k % 3 == 0 ? Steps{} : Steps{k - 1}, true, 1);
  order.finish();
  EXPECT_EQ(order.wave_count(), 3);
  EXPECT_EQ(order.order(), (Steps{0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11}));
  EXPECT_EQ(order.waves(), (Steps{0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2}));
}

TEST(WaveOrder, SmallStepsWaitForTheFirstThatNeedsOneAndAllRunThen) {
  WaveOrder order(7, 1000);
  order.add({}, false, 0);       // 0
  order.add(Steps{0}, true, 1);  // 1, which nobody needs
  order.add({}, false, 0);       // 2
  order.add(Steps{2}, true, 1);  // 3
  order.add({}, false, 0);       // 4
  order.add(Steps{3, 4}, false, 0);
  order.add(Steps{1}, true, 1);
  order.finish();
  EXPECT_EQ(order.order(), (Steps{0, 2, 4, 1, 3, 5, 6}));
  EXPECT_EQ(order.waves(), (Steps{0, 1, 2, 3, 3, 4, 5}));
}

TEST(WaveOrder, WhatWaitsKeepsNoMoreAliveThanTheBudget) {
  WaveOrder order(8, 3);
  for (int32_t k = 0; k < 8; ++k) order.add({}, true, 1);
  order.finish();
  EXPECT_EQ(order.waves(), (Steps{0, 0, 0, 1, 1, 1, 2, 2}));
}

TEST(WaveOrder, DependentStepsOfRandomGraphsAreNeverInOneWave) {
  std::mt19937 engine(7);
  const auto random = [&] { return static_cast<uint32_t>(engine()); };
  for (int round = 0; round < 200; ++round) {
    const auto count = static_cast<int32_t>(1 + random() % 900);
    const uint32_t far = 1 + random() % 100, big = random() % 4;
    std::vector<Steps> after(static_cast<size_t>(count));
    WaveOrder order(after.size(), static_cast<int64_t>(random() % 5000));
    for (int32_t k = 0; k < count; ++k) {
      Steps& before = after[static_cast<size_t>(k)];
      for (uint32_t n = random() % 4; n > 0 && k > 0; --n) before.push_back(std::max(0, k - 1 - static_cast<int32_t>(random() % far)));
      order.add(before, random() % 4 >= big, static_cast<int64_t>(random() % 50));
    }
    order.finish();
    ASSERT_EQ(order.order().size(), after.size());
    Steps wave_of(after.size(), -1), sizes(after.size(), 0);
    for (size_t k = 0; k < after.size(); ++k) {
      const auto step = static_cast<size_t>(order.order()[k]);
      EXPECT_EQ(wave_of[step], -1);
      wave_of[step] = order.waves()[k];
      EXPECT_LE(++sizes[static_cast<size_t>(order.waves()[k])], WaveOrder::kMostInWave);
    }
    EXPECT_TRUE(std::is_sorted(order.waves().begin(), order.waves().end()));
    for (size_t k = 0; k < after.size(); ++k) {
      for (const int32_t step : after[k]) EXPECT_LT(wave_of[static_cast<size_t>(step)], wave_of[k]) << "round " << round;
    }
  }
}

/// Each chain begins with an input of its own, of `size` values, and takes the tanh `length` times.
ComputationGraph chains_of(int chains, int length, int64_t size) {
  GraphBuilder b;
  for (int c = 0; c < chains; ++c) {
    Value v = b.input(DType::f32, {size});
    for (int k = 0; k < length; ++k) v = b.node(Op::tanh, {v});
    b.output(v);
  }
  return b.build();
}

TEST(Waves, IndependentChainsOfSmallStepsShareFewWaves) {
  const Plan plan = make_plan(chains_of(100, 4, 512), {}, {});
  EXPECT_EQ(plan.steps.size(), 400u);
  EXPECT_LE(plan.waves.size(), 20u);
}

TEST(Waves, RunningSideBySideTakesLittleMemory) {
  // All side by side would take 300 times 100 kB.
  const Plan plan = make_plan(chains_of(300, 3, 25600), {}, {});
  EXPECT_EQ(plan.steps.size(), 900u);
  EXPECT_LE(plan.workspace_bytes, 4u * 102400);
}

}  // namespace
}  // namespace lazuli
