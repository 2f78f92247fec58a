// Checks the strides of views against the elements that they show.
#include "plan/views.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <random>

namespace lazuli {
namespace {

/// Distances of all elements from the first, in their order.
std::vector<int64_t> distances(const Shape& shape, const Strides& strides) {
  std::vector<int64_t> all{0};
  for (int axis = 0; axis < shape.rank(); ++axis) {
    std::vector<int64_t> next;
    for (int64_t at : all) {
      for (int64_t i = 0; i < shape[axis]; ++i) next.push_back(at + i * strides[axis]);
    }
    all = std::move(next);
  }
  return all;
}

void expect_reshape(const Shape& from, const Strides& strides, const Shape& to) {
  Strides out;
  if (!reshape_strides(from, strides, to, &out)) return;
  ASSERT_EQ(out.rank(), to.rank());
  EXPECT_EQ(distances(to, out), distances(from, strides)) << to_string(from) << " as " << to_string(to);
}

TEST(Views, AReshapeShowsTheSameElementsInTheSameOrder) {
  // Every way to cut 24 elements, through every order of the axes and with gaps.
  const std::vector<Shape> shapes = {{24},    {1, 24},    {4, 6},    {6, 4},  {2, 3, 4}, {4, 3, 2}, {2, 2, 6}, {2, 2, 2, 3}, {3, 2, 2, 2},
                                     {24, 1}, {1, 1, 24}, {4, 1, 6}, {2, 12}, {12, 2},   {3, 8},    {8, 3},    {2, 1, 12}};
  for (const Shape& from : shapes) {
    std::vector<int> order(static_cast<size_t>(from.rank()));
    std::iota(order.begin(), order.end(), 0);
    do {
      for (int64_t gap : {1, 3}) {
        // The axes of memory in this order, the last one with steps of `gap`.
        Strides strides;
        strides.resize(from.rank());
        int64_t step = gap;
        for (int k = from.rank() - 1; k >= 0; --k) {
          strides[order[static_cast<size_t>(k)]] = step;
          step *= from[order[static_cast<size_t>(k)]];
        }
        for (const Shape& to : shapes) expect_reshape(from, strides, to);
      }
    } while (std::next_permutation(order.begin(), order.end()));
  }
}

TEST(Views, WhatIsOneRunOfEqualStepsCanBeCutAndJoined) {
  Strides out;
  EXPECT_TRUE(reshape_strides({4, 6}, {12, 2}, {24}, &out));
  EXPECT_EQ(out, (Strides{2}));
  EXPECT_TRUE(reshape_strides({24}, {2}, {4, 6}, &out));
  EXPECT_EQ(out, (Strides{12, 2}));
  EXPECT_TRUE(reshape_strides({2, 3, 4}, {100, 4, 1}, {2, 12}, &out)) << "the axes that join are one run";
  EXPECT_EQ(out, (Strides{100, 1}));
  EXPECT_TRUE(reshape_strides({2, 2, 5}, {40, 20, 2}, {4, 5}, &out)) << "equal factors";
  EXPECT_EQ(out, (Strides{20, 2}));
}

TEST(Views, WhatIsNoRunIsRefused) {
  Strides out;
  EXPECT_FALSE(reshape_strides({4, 6}, {1, 4}, {24}, &out));
  EXPECT_FALSE(reshape_strides({2, 3, 4}, {100, 4, 1}, {6, 4}, &out));
  EXPECT_FALSE(reshape_strides({4, 6}, {1, 4}, {6, 4}, &out));
  EXPECT_FALSE(reshape_strides({2, 2, 2}, {1, 2, 4}, {4, 2}, &out)) << "equal factors in another order";
}

TEST(Views, ShapesWithoutElementsHaveAnyStrides) {
  for (const Shape& shape : {Shape{0, 4}, Shape{4, 0}, Shape{0}, Shape{3, 0, 2}}) {
    Strides odd;
    odd.resize(shape.rank());
    for (int i = 0; i < shape.rank(); ++i) odd[i] = 7 + i;
    EXPECT_TRUE(is_contiguous(shape, odd));
    Strides out;
    EXPECT_TRUE(reshape_strides(shape, odd, {0, 3}, &out));
    EXPECT_EQ(out, contiguous_strides({0, 3}));
  }
}

TEST(Views, AxesOfLengthOneSayNothingAboutContiguity) {
  EXPECT_TRUE(is_contiguous({1, 3}, {99, 1}));
  EXPECT_TRUE(is_contiguous({3, 1}, {1, 99}));
  EXPECT_TRUE(is_contiguous({}, {}));
  EXPECT_FALSE(is_contiguous({2, 3}, {6, 1}));
  EXPECT_FALSE(is_contiguous({3}, {2}));
  EXPECT_FALSE(is_contiguous({2, 2}, {1, 2}));
}

TEST(Views, BroadcastAxesHaveStepsOfZero) {
  EXPECT_EQ(expand_strides({3}, {5}, {2, 3}), (Strides{0, 5}));
  EXPECT_EQ(expand_strides({2, 1}, {5, 7}, {2, 3}), (Strides{5, 0}));
  EXPECT_EQ(expand_strides({1, 3}, {9, 2}, {4, 1, 3}), (Strides{0, 0, 2}));
  EXPECT_EQ(expand_strides({}, {}, {2}), (Strides{0}));
}

TEST(Views, AnAxisOfTheResultIsTheOneThatThePermutationNames) {
  EXPECT_EQ(permute_strides({100, 10, 1}, 0x021), (Strides{10, 1, 100}));
  EXPECT_EQ(permute_strides({100, 10, 1}, 0x210), (Strides{100, 10, 1}));
}

TEST(Views, ASliceBeginsAtItsStartsAndTakesItsSteps) {
  int64_t start = -1;
  const int64_t list[] = {1, 2, 3, 2};
  EXPECT_EQ(slice_strides({10, 1}, list, &start), (Strides{30, 2}));
  EXPECT_EQ(start, 12);
}

}  // namespace
}  // namespace lazuli
