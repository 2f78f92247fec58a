// Checks windows, the order of batches, the learning rate and the metrics file.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "lazuli/error.h"
#include "lazuli/train.h"
#include "train/batches.h"
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

TEST(Windows, ShortTextIsOneShorterWindow) {
  const Windows windows(counting(4), 100);
  EXPECT_EQ(windows.count(), 1);
  EXPECT_EQ(windows.tokens(), 3);
  EXPECT_THROW(Windows(counting(1), 100), ValueError);
  EXPECT_THROW(Windows(counting(5), 0), ValueError);
  const std::vector<int64_t> beyond = {1};
  EXPECT_THROW(windows.rows(beyond), ValueError);
}

TEST(BatchOrder, AnEpochHasEveryWindowOnceInAnotherOrder) {
  BatchOrder order(10, 5, 3);
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

TEST(BatchOrder, DependsOnSeedAndStepOnly) {
  BatchOrder forward(7, 3, 1), jumping(7, 3, 1), other(7, 3, 2);
  std::vector<std::vector<int64_t>> batches, others;
  for (int64_t step = 1; step <= 6; ++step) {
    batches.push_back(forward.batch(step));
    others.push_back(other.batch(step));
  }
  EXPECT_EQ(jumping.batch(6), batches[5]);
  EXPECT_EQ(jumping.batch(2), batches[1]);
  EXPECT_NE(batches, others);
}

TEST(BatchOrder, FewerWindowsThanABatchRepeat) {
  BatchOrder order(2, 5, 0);
  EXPECT_EQ(order.batch(1).size(), 5u);
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
  const std::string path = testing::TempDir() + "lazuli_metrics_test.jsonl";
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
  const std::string path = testing::TempDir() + "lazuli_metrics_twice.jsonl";
  MetricsFile(path, std::nullopt).write({.iteration = 10, .val_loss = 2.5});
  MetricsFile file(path, 10);
  file.write({.iteration = 10, .val_loss = 2.5});
  file.write({.iteration = 20, .val_loss = 2.25});
  const std::string text = read_file(path, 1 << 20);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
}

}  // namespace
}  // namespace lazuli
