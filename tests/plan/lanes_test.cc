// Checks that Lanes orders steps that use the same memory, and lets others run side by side.
#include "plan/lanes.h"

#include <gtest/gtest.h>

#include <random>

namespace lazuli {
namespace {

Lanes::Use reads(int64_t begin, int64_t end, int32_t space = 0) { return {space, begin, end, false}; }
Lanes::Use writes(int64_t begin, int64_t end, int32_t space = 0) { return {space, begin, end, true}; }

TEST(Lanes, ThreeReadersOfOneResultRunSideBySide) {
  Lanes lanes;
  const auto next = [&](std::vector<Lanes::Use> uses) { return lanes.next(uses); };
  const auto made = next({writes(0, 10)});
  EXPECT_TRUE(made.after.empty());
  std::vector<int> used;
  for (int64_t k = 1; k <= 3; ++k) {
    const auto choice = next({reads(0, 10), writes(10 * k, 10 * k + 10)});
    EXPECT_EQ(choice.after, std::vector<int32_t>{0});
    used.push_back(choice.lane);
  }
  std::sort(used.begin(), used.end());
  EXPECT_EQ(std::unique(used.begin(), used.end()), used.end());
  // Whoever writes where they read has to wait for all three.
  EXPECT_EQ(next({writes(5, 6)}).after, (std::vector<int32_t>{3, 2, 1}));
}

TEST(Lanes, AChainStaysInItsLaneAndNamesOneStepToFollow) {
  Lanes lanes;
  for (int32_t k = 0; k < 10; ++k) {
    const std::vector<Lanes::Use> uses = {reads(k, k + 1), writes(k + 1, k + 2)};
    const auto choice = lanes.next(uses);
    EXPECT_EQ(choice.lane, 0);
    EXPECT_EQ(choice.after.size(), k == 0 ? 0U : 1U);
  }
}

/// All pairs of steps of which one writes what the other uses must be in order, whichever way the memory is cut.
TEST(Lanes, EveryConflictOfRandomStepsIsOrdered) {
  std::mt19937 random(7);
  const auto below = [&](int n) { return static_cast<int64_t>(random() % static_cast<uint32_t>(n)); };
  size_t side_by_side = 0;
  for (int round = 0; round < 50; ++round) {
    Lanes lanes;
    constexpr size_t kSteps = 80;
    std::vector<std::vector<Lanes::Use>> steps;
    std::vector<std::vector<bool>> follows(kSteps, std::vector<bool>(kSteps, false));
    std::array<int32_t, Lanes::kCount> last = {-1, -1, -1, -1};
    for (size_t s = 0; s < kSteps; ++s) {
      std::vector<Lanes::Use> uses;
      for (int64_t k = 0; k <= below(3); ++k) {
        const int64_t begin = below(60), end = begin + 1 + below(8);
        uses.push_back({static_cast<int32_t>(below(2)), begin, end, below(3) == 0});
      }
      const auto choice = lanes.next(uses);
      for (const int32_t earlier : choice.after) {
        const auto e = static_cast<size_t>(earlier);
        follows[s][e] = true;
        for (size_t k = 0; k < e; ++k) follows[s][k] = follows[s][k] || follows[e][k];
      }
      auto& before = last[static_cast<size_t>(choice.lane)];
      if (before >= 0) {
        EXPECT_TRUE(follows[s][static_cast<size_t>(before)]);
      }
      before = static_cast<int32_t>(s);
      for (size_t e = 0; e < s; ++e) {
        bool conflict = false;
        for (const Lanes::Use& a : uses) {
          for (const Lanes::Use& b : steps[e]) {
            conflict = conflict || (a.space == b.space && (a.written || b.written) && a.begin < b.end && b.begin < a.end);
          }
        }
        if (conflict) {
          EXPECT_TRUE(follows[s][e]) << "step " << s << " and " << e;
        }
        side_by_side += follows[s][e] ? 0 : 1;
      }
      steps.push_back(std::move(uses));
    }
  }
  EXPECT_GT(side_by_side, 5000U);
}

}  // namespace
}  // namespace lazuli
