// Checks windows, the orders of batches, the learning rate and the metrics file.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "lazuli/error.h"
#include "lazuli/train.h"
#include "support/temp_folder.h"
#include "train/batches.h"
#include "train/distinct_batches.h"
#include "train/metrics.h"

namespace lazuli {
namespace {

std::vector<int32_t> counting(int32_t n) {
  std::vector<int32_t> v(static_cast<size_t>(n));
  std::iota(v.begin(), v.end(), 0);
  return v;
}

TEST(Windows, EveryTokenIsPredictedOnce) {
  const Windows windows(counting(10), 3);
  ASSERT_EQ(windows.count(), 3);
  const std::vector<int64_t> all = {0, 1, 2};
  EXPECT_EQ(windows.rows(all).to_vector<int32_t>(), (std::vector<int32_t>{0, 1, 2, 3, 3, 4, 5, 6, 6, 7, 8, 9}));
}

TEST(Windows, TheLastOneIsFilledUpWithPadding) {
  const Windows windows(counting(9), 3);
  ASSERT_EQ(windows.count(), 3);
  EXPECT_EQ(windows.targets(), 8);
  const std::vector<int64_t> last = {2}, all = {0, 1, 2};
  EXPECT_EQ(windows.rows(last).to_vector<int32_t>(), (std::vector<int32_t>{6, 7, 8, kPadding}));
  EXPECT_EQ(windows.tokens(windows.batch(all)), 8);
  EXPECT_EQ(Windows(counting(8), 3).count(), 3);
}

TEST(Windows, ShortTextIsOneShorterWindow) {
  const Windows windows(counting(4), 100);
  EXPECT_EQ(windows.count(), 1);
  EXPECT_EQ(windows.tokens(), 3);
  EXPECT_THROW(Windows(counting(1), 100), ValueError);
  EXPECT_THROW(Windows(counting(5), 0), ValueError);
  const std::vector<int64_t> beyond = {1};
  EXPECT_THROW(windows.rows(beyond), ValueError);
}

TEST(Windows, AreValidatedEachOnceWeighedByTheirTokens) {
  const Windows windows(counting(9), 3);
  const std::vector<WeighedBatch> batches = windows.fixed_batches(2, -1, 5), first = windows.fixed_batches(2, 1, 5);
  ASSERT_EQ(batches.size(), 2u);
  EXPECT_EQ(batches[0].indices.size(), 2u);
  EXPECT_EQ(batches[1].indices.size(), 1u);
  EXPECT_EQ(batches[0].weight + batches[1].weight, 8);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].indices, batches[0].indices);
}

TEST(PlainOrder, AnEpochHasEveryWindowOnceInAnotherOrder) {
  PlainOrder order(10, 5, 3);
  const auto epoch = [&](int64_t first) {
    std::vector<int64_t> seen = order.batch(first);
    const auto rest = order.batch(first + 1);
    seen.insert(seen.end(), rest.begin(), rest.end());
    return seen;
  };
  auto one = epoch(1), two = epoch(3);
  EXPECT_NE(one, two);
  std::sort(one.begin(), one.end());
  std::sort(two.begin(), two.end());
  EXPECT_EQ(one, two);
  EXPECT_EQ(std::adjacent_find(one.begin(), one.end()), one.end());
}

template <class Order, class First>
void expect_order_of_seed_and_step(const First& examples) {
  Order forward(examples, 3, 1), jumping(examples, 3, 1), other(examples, 3, 2);
  std::vector<std::vector<int64_t>> batches, others;
  for (int64_t step = 1; step <= 6; ++step) {
    batches.push_back(forward.batch(step));
    others.push_back(other.batch(step));
  }
  EXPECT_EQ(jumping.batch(6), batches[5]);
  EXPECT_EQ(jumping.batch(2), batches[1]);
  EXPECT_NE(batches, others);
}

/// Examples that have these texts.
ExampleTexts texts_of(std::vector<std::vector<int32_t>> of) {
  ExampleTexts texts{std::move(of), 0};
  for (const auto& own : texts.of) {
    for (const int32_t t : own) texts.count = std::max(texts.count, t + 1);
  }
  return texts;
}

/// Pairs of which every third one has the first text 0.
ExampleTexts thirds(int32_t count) {
  std::vector<std::vector<int32_t>> of;
  for (int32_t k = 0; k < count; ++k) of.push_back({k % 3 == 0 ? 0 : 2 * k + 1, 2 * k + 2});
  return texts_of(std::move(of));
}

TEST(BatchOrders, DependOnSeedAndStepOnly) {
  expect_order_of_seed_and_step<PlainOrder>(int64_t{7});
  expect_order_of_seed_and_step<DistinctOrder>(thirds(7));
}

TEST(PlainOrder, FewerWindowsThanABatchRepeat) {
  PlainOrder order(2, 5, 0);
  EXPECT_EQ(order.batch(1).size(), 5u);
}

void expect_distinct(const ExampleTexts& texts, int64_t size) {
  const std::vector<int64_t> order = shuffled(static_cast<int64_t>(texts.of.size()), 4, 0);
  std::vector<int> seen(texts.of.size());
  for (const DistinctBatch& batch : distinct_batches(texts, order, size)) {
    EXPECT_LE(batch.indices.size(), static_cast<size_t>(size));
    EXPECT_GE(batch.fresh, 1u);
    std::set<int32_t> in_batch;
    for (size_t k = 0; k < batch.indices.size(); ++k) {
      const auto index = static_cast<size_t>(batch.indices[k]);
      const std::set<int32_t> own(texts.of[index].begin(), texts.of[index].end());
      for (const int32_t t : own) EXPECT_TRUE(in_batch.insert(t).second) << t;
      if (k < batch.fresh) ++seen[index];
    }
  }
  EXPECT_EQ(seen, std::vector<int>(texts.of.size(), 1));
}

TEST(DistinctBatches, HaveEveryExampleOnceAndNoTextTwice) {
  for (const int64_t size : {1, 2, 3, 4, 7, 100}) {
    expect_distinct(thirds(31), size);
    expect_distinct(texts_of({{0, 1}, {0, 2}, {1, 2}, {3, 3}, {2, 4, 5}, {5, 6}}), size);
  }
}

TEST(DistinctBatches, AreFullAsFarAsTextsAllowIt) {
  // 11 of 31 share a text: as many batches there are at least, completed with pairs that others have too.
  const ExampleTexts texts = thirds(31);
  const std::vector<int64_t> order = shuffled(31, 9, 0);
  const std::vector<DistinctBatch> batches = distinct_batches(texts, order, 4);
  EXPECT_GE(batches.size(), 11u);
  EXPECT_LE(batches.size(), 12u);
  for (const DistinctBatch& batch : batches) EXPECT_EQ(batch.indices.size(), 4u);
  EXPECT_EQ(distinct_examples(texts), 21);
  EXPECT_EQ(distinct_examples(texts_of({{0, 1}, {0, 2}, {0, 3}})), 1);
}

TEST(DistinctBatches, OfManyEqualTextsTakeTimeInProportion) {
  std::vector<std::vector<int32_t>> of;
  for (int32_t k = 0; k < 100000; ++k) of.push_back({0, k + 1});
  of.push_back({200000, 200001});
  const ExampleTexts texts = texts_of(std::move(of));
  std::vector<int64_t> order(texts.of.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  const std::vector<DistinctBatch> batches = distinct_batches(texts, order, 32);
  EXPECT_EQ(batches.size(), 100000u);
  EXPECT_EQ(batches.back().indices.size(), 2u);
}

TEST(LearningRate, RisesThenFollowsTheSchedule) {
  TrainConfig c;
  c.iterations = 110;
  c.learning_rate = 2;
  c.warmup_steps = 10;
  EXPECT_DOUBLE_EQ(learning_rate(c, 1), 0.2);
  EXPECT_DOUBLE_EQ(learning_rate(c, 10), 2);
  EXPECT_DOUBLE_EQ(learning_rate(c, 110), 2);
  c.schedule = RateSchedule::linear;
  EXPECT_DOUBLE_EQ(learning_rate(c, 11), 2);
  EXPECT_DOUBLE_EQ(learning_rate(c, 61), 1);
  c.schedule = RateSchedule::cosine;
  EXPECT_DOUBLE_EQ(learning_rate(c, 11), 2);
  EXPECT_NEAR(learning_rate(c, 61), 1, 1e-12);
  EXPECT_NEAR(learning_rate(c, 1000), 0, 1e-12);
}

TEST(LearningRate, SettingsAreChecked) {
  TrainConfig c;
  c.learning_rate = -1;
  EXPECT_THROW(c.check(), ValueError);
  c = {};
  c.max_grad_norm = -1;
  EXPECT_THROW(c.check(), ValueError);
  EXPECT_THROW(parse_rate_schedule("step"), ValueError);
  EXPECT_EQ(parse_rate_schedule("cosine"), RateSchedule::cosine);
}

TEST(MetricsFile, GoingOnDropsLaterAndBrokenLines) {
  const test::TempFolder folder;
  const std::string path = folder.path("metrics.jsonl");
  {
    MetricsFile file(path, std::nullopt);
    file.write({.iteration = 10, .train_loss = 2.5});
    file.write({.iteration = 20, .val_loss = 2.25});
  }
  std::ofstream(path, std::ios::app) << "{\"iteration\":15,\"tr";
  {
    MetricsFile file(path, 10);
    file.write({.iteration = 11, .grad_norm = 0.5});
  }
  const std::string text = read_file(path, 1 << 20);
  std::vector<int64_t> iterations;
  for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
    const JsonDocument line = JsonDocument::parse(text.substr(at, text.find('\n', at) - at), path);
    iterations.push_back(line.root().get("iteration").as_int());
  }
  EXPECT_EQ(iterations, (std::vector<int64_t>{10, 11}));
}

TEST(MetricsFile, AValidationThatIsThereAlreadyIsNotWrittenAgain) {
  const test::TempFolder folder;
  const std::string path = folder.path("metrics.jsonl");
  MetricsFile(path, std::nullopt).write({.iteration = 10, .val_loss = 2.5});
  MetricsFile file(path, 10);
  file.write({.iteration = 10, .val_loss = 2.5});
  file.write({.iteration = 20, .val_loss = 2.25});
  const std::string text = read_file(path, 1 << 20);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
}

}  // namespace
}  // namespace lazuli
