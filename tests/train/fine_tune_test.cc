// Checks the loop around a trainer where steps have no finite loss: which are skipped, when it gives up, and what is left then.
#include "train/fine_tune.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

#include "base/file.h"
#include "lazuli/adapter.h"
#include "lazuli/error.h"
#include "lazuli/nn.h"
#include "lazuli/ops.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

using test::message_of;
using testing::HasSubstr;

/// The mean square of the second factor, plus the one number that a batch is.
class AddedNumber : public Objective {
 public:
  size_t inputs() const override { return 1; }
  void check(std::span<const Tensor>) const override {}
  LazyTensor loss(std::span<const LazyTensor> batch, const AdapterContext& adapter) const override {
    return mean(square(adapter.low_rank(0)->b + 1.0)) + sum(batch[0]);
  }
};

/// Gives 0 or infinity, one after the other as the list says.
class Numbers : public Examples {
 public:
  explicit Numbers(std::vector<bool> finite) : finite_(std::move(finite)) {}
  int64_t count() const override { return 4; }
  std::vector<Tensor> batch(std::span<const int64_t>) const override {
    // The first batch is asked for to see what memory a step takes.
    const bool finite = asked_ == 0 || finite_[(asked_ - 1) % finite_.size()];
    ++asked_;
    return {Tensor::from_vector<float>({finite ? 0 : std::numeric_limits<float>::infinity()}, {1})};
  }
  int64_t tokens(std::span<const Tensor>) const override { return 1; }

 private:
  std::vector<bool> finite_;
  mutable size_t asked_ = 0;
};

class FineTune : public testing::Test {
 protected:
  FineTuneReport run(const std::vector<bool>& finite, bool skip = true) {
    const LinearInfo layer{"layer", 4, 3};
    FineTuneOptions options;
    options.train.iterations = static_cast<int64_t>(finite.size());
    options.train.skip_nonfinite = skip;
    options.train.learning_rate = 0.1;
    options.batch_size = 1;
    options.steps_per_report = 1;
    options.save_every = 1;
    options.quiet = true;
    LoRAConfig config;
    config.rank = 2;
    Trainer trainer(std::make_shared<AddedNumber>(), Adapter::create(std::span(&layer, 1), config, 1), options.train);
    const Numbers numbers(finite);
    OutputFolder folder(folder_.path("adapter"), training_files());
    return fine_tune(trainer, numbers, nullptr, folder, options);
  }
  static std::vector<bool> runs(const std::vector<std::pair<size_t, bool>>& parts) {
    std::vector<bool> all;
    for (const auto& [count, finite] : parts) all.insert(all.end(), count, finite);
    return all;
  }
  test::TempFolder folder_;
};

constexpr size_t kAlmost = static_cast<size_t>(kMostSkipped) - 1;

TEST_F(FineTune, AFiniteStepBeginsTheCountOfSkippedOnesAnew) {
  const FineTuneReport report = run(runs({{1, true}, {kAlmost, false}, {1, true}, {kAlmost, false}, {1, true}}));
  EXPECT_EQ(report.skipped, static_cast<int64_t>(2 * kAlmost));
  EXPECT_EQ(report.iterations, static_cast<int64_t>(2 * kAlmost + 3));
  EXPECT_EQ(report.trained_tokens, 3);
}

TEST_F(FineTune, TooManySkippedInARowEndIt) {
  const std::string text = message_of<ValueError>([&] { run(runs({{2, true}, {kAlmost + 1, false}, {5, true}})); });
  EXPECT_THAT(text, HasSubstr("iteration 12"));
  EXPECT_THAT(text, HasSubstr("as in 9 iterations before"));
  EXPECT_THAT(text, HasSubstr("the adapter of iteration 2"));
}

TEST_F(FineTune, WithoutSkippingTheFirstEndsIt) {
  const std::string text = message_of<ValueError>([&] { run({true, true, true, false}, false); });
  EXPECT_THAT(text, HasSubstr("iteration 4"));
  EXPECT_THAT(text, HasSubstr("the adapter of iteration 3"));
  EXPECT_THAT(text, testing::Not(HasSubstr("iterations before")));
  EXPECT_TRUE(std::filesystem::exists(folder_.path("adapter") + "/" + kStateFile));
}

TEST_F(FineTune, WhatNoStepHasChangedIsNotTheLearningRatesFault) {
  EXPECT_THAT(message_of<ValueError>([&] { run({true, false}, false); }), HasSubstr("a lower --learning-rate"));
  EXPECT_THAT(message_of<ValueError>([&] {
                run({false, true}, false);
              }),
              testing::AllOf(HasSubstr("before any step"), testing::Not(HasSubstr("--learning-rate"))));
  EXPECT_THAT(message_of<ValueError>([&] { run(runs({{kAlmost + 1, false}, {1, true}})); }), HasSubstr("before any step"));
}

TEST_F(FineTune, ASkippedStepAtTheEndLeavesItsStateWhole) {
  const FineTuneReport report = run({true, false});
  EXPECT_EQ(report.skipped, 1);
  EXPECT_EQ(report.iterations, 2);
  EXPECT_TRUE(std::filesystem::exists(folder_.path("adapter") + "/" + kStateFile));
}

TEST_F(FineTune, ALossWithoutSkippedStepsFallsFromReportToReport) {
  const FineTuneReport report = run(runs({{3, true}, {1, false}, {3, true}}));
  ASSERT_TRUE(report.train_loss_before && report.train_loss_after);
  EXPECT_NEAR(*report.train_loss_before, 1, 1e-6);
  EXPECT_LT(*report.train_loss_after, *report.train_loss_before);
  EXPECT_TRUE(std::isfinite(*report.train_loss_after)) << "skipped steps are in no mean";
}

}  // namespace
}  // namespace lazuli
