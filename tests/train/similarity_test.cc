// Checks the training of encoders on pairs of texts against a run of PyTorch and PEFT, and the reading of pairs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "lazuli/embed.h"
#include "lazuli/error.h"
#include "lazuli/train.h"
#include "support/temp_folder.h"
#include "support/tiny_sentences.h"
#include "train/pairs.h"

namespace lazuli {
namespace {

using test::message_of;
using testing::AllOf;
using testing::HasSubstr;

class Similarity : public testing::Test {
 protected:
  Similarity() : expected_(JsonDocument::read(test::data_folder("tiny-similarity/expected.json"))) {
    test::make_tiny_sentences(folder_.path("model"), "");
    model_ = EmbeddingModel::load(folder_.path("model"));
    std::vector<float> scores;
    for (const JsonValue& score : expected_.root().get("cosines").as_array()) scores.push_back(static_cast<float>(score.as_double()));
    for (const JsonValue& pair : expected_.root().get("pairs").as_array()) {
      std::vector<std::string> texts;
      for (const JsonValue& text : pair.as_array()) texts.emplace_back(text.as_string());
      pairs_.push_back({texts[0], texts[1], scores[pairs_.size()]});
    }
  }
  void expect_trajectory(const std::string& name, PairLoss loss) const {
    TrainConfig config;
    config.learning_rate = expected_.root().get("learning_rate").as_double();
    Trainer trainer(pair_objective(model_, loss), Adapter::load(test::data_folder("tiny-similarity"), model_->encoder().linears()), config);
    const Pairs examples(*model_, pairs_, loss, 0);
    const std::vector<Tensor> batch = examples.batch(std::vector<int64_t>{0, 1, 2, 3});
    std::vector<double> norms;
    for (const JsonValue& norm : expected_.root().get(name).get("grad_norms").as_array()) norms.push_back(norm.as_double());
    size_t step = 0;
    for (const JsonValue& wanted : expected_.root().get(name).get("losses").as_array()) {
      EXPECT_NEAR(trainer.evaluate(batch), wanted.as_double(), 2e-4) << step;
      const StepResult result = trainer.step(batch);
      EXPECT_NEAR(result.loss, wanted.as_double(), 2e-4) << step;
      EXPECT_NEAR(result.grad_norm / norms[step], 1, 2e-3) << step;
      ++step;
    }
    EXPECT_EQ(step, 6U);
  }
  PairSplit read(const std::string& rows) const {
    folder_.write("pairs.jsonl", rows);
    return read_pairs(folder_.path("pairs.jsonl"), 1);
  }

  test::TempFolder folder_;
  JsonDocument expected_;
  std::shared_ptr<const EmbeddingModel> model_;
  std::vector<TextPair> pairs_;
};

TEST_F(Similarity, ContrastiveTrainingFollowsPyTorch) { expect_trajectory("contrastive", PairLoss::contrastive); }
TEST_F(Similarity, TrainingOnScoresFollowsPyTorch) { expect_trajectory("scores", PairLoss::scores); }

TEST_F(Similarity, TheTrainedAdapterIsSavedForWhatItDoes) {
  const Adapter adapter = Adapter::load(test::data_folder("tiny-similarity"), model_->encoder().linears());
  EXPECT_EQ(adapter.config().task_type, "FEATURE_EXTRACTION");
  adapter.save(folder_.path("saved"));
  EXPECT_EQ(Adapter::load(folder_.path("saved"), model_->encoder().linears()).config().task_type, "FEATURE_EXTRACTION");
}

TEST_F(Similarity, PairsOfABatchAreCutAndCounted) {
  const Pairs examples(*model_, pairs_, PairLoss::scores, 5);
  const std::vector<Tensor> batch = examples.batch(std::vector<int64_t>{1, 0});
  ASSERT_EQ(batch.size(), 4U);
  EXPECT_EQ(batch[0].shape(), (Shape{4, 16}));
  EXPECT_EQ(examples.tokens(batch), 5 + 4 + 5 + 5);
  EXPECT_THROW(examples.batch(std::vector<int64_t>{4}), ValueError);
}

TEST_F(Similarity, RowsAreReadAndSplit) {
  std::string rows;
  for (int k = 0; k < 20; ++k) rows += "{\"anchor\": \"a\", \"positive\": \"b\"}\n\n";
  const PairSplit split = read(rows);
  EXPECT_EQ(split.loss, PairLoss::contrastive);
  EXPECT_EQ(split.train.size(), 18U);
  EXPECT_EQ(split.validation.size(), 2U);
  EXPECT_EQ(read("{\"sentence1\": \"a\", \"sentence2\": \"b\", \"score\": 0.5}\n").loss, PairLoss::scores);
  folder_.write("rows/train.jsonl", rows);
  folder_.write("rows/valid.jsonl", rows);
  EXPECT_EQ(read_pairs(folder_.path("rows"), 1).validation.size(), 20U);
}

TEST_F(Similarity, RowsThatAreNotPairsAreNamed) {
  const auto error = [&](const std::string& rows) { return message_of<FormatError>([&] { read(rows); }); };
  const std::string good = "{\"anchor\": \"a\", \"positive\": \"b\"}\n";
  EXPECT_THAT(error(good + "{\"text\": \"a\"}\n"), AllOf(HasSubstr("pairs.jsonl:2"), HasSubstr("anchor"), HasSubstr("sentence1")));
  EXPECT_THAT(error(good + "{\"anchor\": \"a\"}\n"), HasSubstr("positive"));
  EXPECT_THAT(error(good + "{\"sentence1\": \"a\", \"sentence2\": \"b\", \"score\": 0.5}\n"), HasSubstr("same kind"));
  EXPECT_THAT(error("{\"sentence1\": \"a\", \"sentence2\": \"b\", \"score\": 5}\n"), HasSubstr("score"));
  EXPECT_THAT(error("\n"), HasSubstr("none"));
}

TEST_F(Similarity, BatchesThatDoNotFitAreRefused) {
  Trainer trainer(pair_objective(model_, PairLoss::contrastive), Adapter::create(model_->encoder().linears(), {}, 1), {});
  EXPECT_THROW(trainer.step(Tensor::zeros(DType::i32, {2, 8})), ValueError);
  const std::vector<Tensor> odd(3, Tensor::zeros(DType::i32, {3, 8}));
  EXPECT_THROW(trainer.step(odd), ShapeError);
}

}  // namespace
}  // namespace lazuli
