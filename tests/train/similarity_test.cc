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
      const std::vector<std::string> texts = strings(pair);
      pairs_.push_back({texts[0], texts[1], scores[pairs_.size()]});
    }
    auto pair = pairs_.begin();
    for (const JsonValue& negatives : expected_.root().get("negatives_of").as_array()) pair++->negatives = strings(negatives);
  }
  static std::vector<std::string> strings(const JsonValue& array) {
    std::vector<std::string> texts;
    for (const JsonValue& text : array.as_array()) texts.emplace_back(text.as_string());
    return texts;
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
  DataReport report(const std::string& rows) const {
    folder_.write("pairs.jsonl", rows);
    DataReport report;
    read_pairs(folder_.path("pairs.jsonl"), 1, report);
    return report;
  }

  test::TempFolder folder_;
  JsonDocument expected_;
  std::shared_ptr<const EmbeddingModel> model_;
  std::vector<TextPair> pairs_;
};

TEST_F(Similarity, ContrastiveTrainingFollowsPyTorch) { expect_trajectory("contrastive", PairLoss::contrastive); }
TEST_F(Similarity, TrainingOnScoresFollowsPyTorch) { expect_trajectory("scores", PairLoss::scores); }

TEST_F(Similarity, TrainingWithNegativesFollowsPyTorch) { expect_trajectory("negatives", PairLoss::negatives); }

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
  EXPECT_THAT(error("\n"), AllOf(HasSubstr("anchor"), HasSubstr("got none")));
  folder_.write("pairs.txt", "a text");
  EXPECT_THAT(message_of<FormatError>([&] { read_pairs(folder_.path("pairs.txt"), 1); }), HasSubstr("got text"));
}

TEST_F(Similarity, NegativesAreReadFromAllTheirColumns) {
  const std::string rows = R"({"anchor": "a", "positive": "b", "negative": "c", "negative_2": null})"
                           "\n"
                           R"({"anchor": "d", "positive": "e", "negative": ["f", "g", ""], "id": 1})"
                           "\n"
                           R"({"anchor": "h", "positive": "i", "negative_1": "j", "negative_2": "i"})"
                           "\n"
                           R"({"anchor": "k", "positive": "l"})"
                           "\n"
                           R"({"anchor": "m", "positive": null})"
                           "\n";
  const PairSplit split = read(rows);
  EXPECT_EQ(split.loss, PairLoss::negatives);
  std::vector<std::string> negatives;
  for (const auto* part : {&split.train, &split.validation}) {
    for (const TextPair& pair : *part) negatives.insert(negatives.end(), pair.negatives.begin(), pair.negatives.end());
  }
  EXPECT_THAT(negatives, testing::UnorderedElementsAre("c", "f", "g", "j"));
  const DataReport said = report(rows);
  EXPECT_EQ(said.left_out_text(),
            "empty negatives: 2; columns: 1 (id); negatives that are the positive of their row: 1; rows whose text is null: 1");
  EXPECT_THAT(said.notes, testing::ElementsAre(HasSubstr("3 of 4 rows have negatives")));
}

TEST_F(Similarity, ColumnsThatWouldChangeTheMeaningAreRefusedByName) {
  const auto error = [&](const std::string& row) { return message_of<FormatError>([&] { read(row + "\n"); }); };
  EXPECT_THAT(error(R"({"anchor": "a", "positive": "b", "score": 1})"), HasSubstr("$.score"));
  EXPECT_THAT(error(R"({"anchor": "a", "positive": "b", "weight": 1})"), HasSubstr("$.weight"));
  EXPECT_THAT(error(R"({"anchor": "a", "positive": "b", "positive_2": "c"})"), HasSubstr("$.positive_2"));
  EXPECT_THAT(error(R"({"anchor": "a", "positive": "b", "negative": 1})"), HasSubstr("$.negative"));
  EXPECT_THAT(error(R"({"sentence1": "a", "sentence2": "b", "score": 1, "negative": "c"})"), HasSubstr("$.negative"));
  EXPECT_THAT(error(R"({"sentence1": "a", "sentence2": "b", "score": 1, "label": 0})"), HasSubstr("$.label"));
  EXPECT_THAT(error(R"({"sentence1": "a", "sentence2": "b"})"), HasSubstr("score"));
  EXPECT_EQ(read("{\"sentence1\": \"a\", \"sentence2\": \"b\", \"label\": 1}\n").train[0].score, 1);
  folder_.write("pairs.csv", "sentence1,sentence2,score\na,b,0.5\n");
  EXPECT_EQ(read_pairs(folder_.path("pairs.csv"), 1).train[0].score, 0.5F);
}

TEST_F(Similarity, EveryNameOfAColumnThatChangesTheMeaningIsKnown) {
  const auto error = [&](const std::string& row) { return message_of<FormatError>([&] { read(row + "\n"); }); };
  const auto contrasted = [](const std::string& more) { return R"({"anchor": "a", "positive": "b", )" + more + "}"; };
  const auto scored = [](const std::string& more) { return R"({"sentence1": "a", "sentence2": "b", )" + more + "}"; };
  for (const std::string name : {"weight", "weights", "sample_weight", "margin"}) {
    const std::string said = "$." + name + ": all rows weigh the same here";
    EXPECT_THAT(error(contrasted("\"" + name + "\": 1")), HasSubstr(said));
    EXPECT_THAT(error(scored("\"score\": 1, \"" + name + "\": 1")), HasSubstr(said));
  }
  for (const std::string name : {"score", "scores", "label", "labels"}) {
    EXPECT_THAT(error(contrasted("\"" + name + "\": 1")), HasSubstr("$." + name + ": a score belongs to rows"));
    EXPECT_EQ(read(scored("\"" + name + "\": 0.25") + "\n").train[0].score, 0.25F);
    EXPECT_EQ(report(scored("\"" + name + "\": 0.25, \"id\": 1") + "\n").left_out_text(), "columns: 1 (id)");
  }
  EXPECT_THAT(error(scored("\"label\": 1, \"scores\": 1")), HasSubstr("$.label: one score expected, got 'scores' too"));
  EXPECT_THAT(error(contrasted("\"sentence1\": \"c\"")), HasSubstr("$.sentence1: 'anchor' or 'sentence1' expected, got both"));
  EXPECT_THAT(error(scored("\"score\": 1, \"negative\": \"c\"")), HasSubstr("$.negative: a negative belongs to rows"));
  EXPECT_THAT(error(contrasted("\"negative\": [1]")), HasSubstr("$.negative: a text or a list of texts expected"));
  EXPECT_THAT(error(contrasted("\"negative\": \"\\ud83d\"")), HasSubstr("half of a surrogate pair"));
  EXPECT_NO_THROW(read(contrasted("\"negative\": null") + "\n"));
}

TEST_F(Similarity, ScoresAreCosines) {
  const auto row = [](const std::string& score) { return R"({"sentence1": "a", "sentence2": "b", "score": )" + score + "}\n"; };
  for (const char* score : {"-1", "1", "0", "-0.5", "1.0"}) EXPECT_EQ(read(row(score)).train[0].score, std::stof(score));
  for (const char* score : {"-1.0001", "1.0001", "5"}) {
    EXPECT_THAT(message_of<FormatError>([&] { read(row(score)); }),
                HasSubstr("pairs.jsonl:1: $.score: a cosine from -1 to 1 expected, got " + std::string(score)));
  }
  EXPECT_THAT(message_of<FormatError>([&] { read(row("\"x\"")); }), HasSubstr("$.score: a number expected, got a string"));
  EXPECT_THAT(message_of<FormatError>([&] { read(row("true")); }), HasSubstr("$.score: a number expected"));
  EXPECT_THAT(message_of<FormatError>([&] { read(row("NaN")); }), HasSubstr("a finite number expected, got NaN"));
  EXPECT_EQ(report(row("null") + row("1")).left_out_text(), "rows whose score is null: 1");
  EXPECT_EQ(report(row("1") + R"({"sentence1": "", "sentence2": "b", "score": 1})"
                              "\n"
                              R"({"sentence1": "a", "sentence2": "", "score": 1})")
                .left_out_text(),
            "rows with an empty text: 2");
  EXPECT_THAT(message_of<FormatError>([&] { read(row("null")); }), HasSubstr("expected, got none; left out: rows whose score is null: 1"));
}

TEST_F(Similarity, ATenthIsHeldOutButNoFewerThanCanBeMeasured) {
  const auto held_out = [&](int count, bool scores) {
    std::string rows;
    for (int k = 0; k < count; ++k) {
      const std::string number = std::to_string(k);
      rows += scores ? R"({"sentence1": "a)" + number +
                           R"(", "sentence2": "b", "score": 1})"
                           "\n"
                     : R"({"anchor": "a)" + number + R"(", "positive": "b)" + number + "\"}\n";
    }
    const PairSplit split = read(rows);
    EXPECT_EQ(split.train.size() + split.validation.size(), static_cast<size_t>(count));
    return split.validation.size();
  };
  for (const auto& [count, wanted] : {std::pair(1, 0U), {2, 1U}, {3, 1U}, {19, 1U}, {20, 2U}, {39, 3U}}) {
    EXPECT_EQ(held_out(count, true), wanted) << count;
  }
  for (const auto& [count, wanted] : {std::pair(1, 0U), {3, 0U}, {4, 2U}, {20, 2U}, {29, 2U}, {30, 3U}}) {
    EXPECT_EQ(held_out(count, false), wanted) << count;
  }
}

TEST_F(Similarity, NegativesOfEveryRowAreSaidSo) {
  const std::string row = R"({"anchor": "a", "positive": "b", "negative": "c"})"
                          "\n";
  EXPECT_THAT(report(row + row).notes, testing::ElementsAre(HasSubstr("every row has negatives")));
  EXPECT_THAT(report(R"({"anchor": "a", "positive": "b"})"
                     "\n")
                  .notes,
              testing::IsEmpty());
}

TEST_F(Similarity, HeldOutPairsHaveNoTextInCommon) {
  std::string rows;
  for (int k = 0; k < 20; ++k) {
    rows += "{\"anchor\": \"" +
            std::string(k < 18   ? "same"
                        : k < 19 ? "one"
                                 : "two") +
            "\", \"positive\": \"" + std::to_string(k) + "\"}\n";
  }
  const PairSplit split = read(rows);
  ASSERT_EQ(split.validation.size(), 2U);
  EXPECT_NE(split.validation[0].first, split.validation[1].first);
  EXPECT_TRUE(read("{\"anchor\": \"a\", \"positive\": \"b\"}\n{\"anchor\": \"c\", \"positive\": \"d\"}\n").validation.empty());
}

TEST_F(Similarity, BatchesHaveNoTextTwiceAndValidationHasOneSize) {
  std::vector<TextPair> pairs;
  for (const char* second : {"the cat", "a mat", "a rug", "word", "train", "a cat on a mat"}) pairs.push_back({"a dog", second});
  pairs.push_back({"how", "find"});
  pairs.push_back({"sit", "do"});
  pairs.push_back({"A DOG", "I"});  // the same tokens as in small letters
  const Pairs examples(*model_, pairs, PairLoss::contrastive, 0);
  EXPECT_EQ(examples.most_in_batch(), 3);
  const auto order = examples.order(4, 1);
  for (int64_t step = 1; step <= 14; ++step) EXPECT_EQ(order->batch(step).size(), 3U);
  const std::vector<WeighedBatch> fixed = examples.fixed_batches(2, -1, 1);
  double weight = 0;
  for (const WeighedBatch& batch : fixed) {
    EXPECT_EQ(batch.indices.size(), 2U);
    weight += batch.weight;
  }
  EXPECT_EQ(weight, 9);
  EXPECT_EQ(examples.fixed_batches(2, 1, 1).size(), 1U);
  EXPECT_TRUE(Pairs(*model_, {{"a dog", "a mat"}}, PairLoss::contrastive, 0).fixed_batches(2, -1, 1).empty());
  EXPECT_FALSE(Pairs(*model_, {{"a dog", "a mat", 0, {"a cat"}}}, PairLoss::negatives, 0).fixed_batches(2, -1, 1).empty());
}

TEST_F(Similarity, EveryPartOfABatchIsChecked) {
  const auto ids = [](int64_t texts, int64_t tokens = 8) { return Tensor::zeros(DType::i32, {texts, tokens}); };
  const auto error = [&](PairLoss kind, const std::vector<Tensor>& batch) {
    return message_of<ShapeError>([&] { pair_objective(model_, kind)->check(batch); });
  };
  const auto takes = [&](PairLoss kind, const std::vector<Tensor>& batch) { EXPECT_NO_THROW(pair_objective(model_, kind)->check(batch)); };
  const PairLoss contrastive = PairLoss::contrastive;
  const std::string expected = "[train] ids, mask and pooled of (texts, tokens) are expected, got ";
  takes(contrastive, {ids(2), ids(2), ids(2)});
  takes(contrastive, {ids(4), ids(4), ids(4)});
  EXPECT_THAT(error(contrastive, {ids(1), ids(1), ids(1)}), HasSubstr(expected + "(1, 8), (1, 8) and (1, 8)"));
  EXPECT_THAT(error(contrastive, {ids(2), ids(4), ids(2)}), HasSubstr(expected + "(2, 8), (4, 8) and (2, 8)"));
  EXPECT_THAT(error(contrastive, {ids(2), ids(2), ids(2, 9)}), HasSubstr(expected + "(2, 8), (2, 8) and (2, 9)"));
  const Tensor flat = Tensor::zeros(DType::i32, {8});
  EXPECT_THAT(error(contrastive, {flat, flat, flat}), HasSubstr(expected + "(8), (8) and (8)"));
  EXPECT_THAT(error(contrastive, {ids(3), ids(3), ids(3)}), HasSubstr("of (2 * pairs, tokens) are expected, got (3, 8)"));
  const auto scores = [](int64_t count) { return Tensor::zeros(DType::f32, {count}); };
  takes(PairLoss::scores, {ids(4), ids(4), ids(4), scores(2)});
  EXPECT_THAT(error(PairLoss::scores, {ids(4), ids(4), ids(4), scores(4)}), HasSubstr("[train] 2 scores are expected, got (4)"));
  const auto own = [](const std::vector<int32_t>& of) { return Tensor::from_vector(of, {static_cast<int64_t>(of.size())}); };
  const auto choose = [&](int64_t texts, const std::vector<int32_t>& of) {
    return std::vector<Tensor>{ids(texts), ids(texts), ids(texts), own(of)};
  };
  const PairLoss negatives = PairLoss::negatives;
  takes(negatives, choose(3, {0}));
  takes(negatives, choose(3, {1}));
  takes(negatives, choose(5, {0, 2}));
  takes(negatives, choose(4, {0, 1}));
  EXPECT_THAT(error(negatives, choose(3, {0, 1})), HasSubstr("for 3 texts the second ones of at most 1 pairs are expected, got (2)"));
  EXPECT_THAT(error(negatives, choose(3, {})), HasSubstr("for 3 texts the second ones of at most 1 pairs are expected, got (0)"));
  for (const int32_t k : {-1, 2}) {
    EXPECT_THAT(message_of<ValueError>([&] { pair_objective(model_, negatives)->check(choose(3, {k})); }),
                HasSubstr("[train] a text from 0 to 1 is expected, got " + std::to_string(k)));
  }
  EXPECT_THAT(message_of<DTypeError>([&] {
                pair_objective(model_, negatives)->check(std::vector<Tensor>{ids(3), ids(3), ids(3), scores(1)});
              }),
              HasSubstr("own second texts: i32 is expected, got f32"));
}

TEST_F(Similarity, BatchesThatDoNotFitAreRefused) {
  Trainer trainer(pair_objective(model_, PairLoss::contrastive), Adapter::create(model_->encoder().linears(), {}, 1), {});
  EXPECT_THROW(trainer.step(Tensor::zeros(DType::i32, {2, 8})), ValueError);
  const std::vector<Tensor> odd(3, Tensor::zeros(DType::i32, {3, 8}));
  EXPECT_THROW(trainer.step(odd), ShapeError);
  Trainer choices(pair_objective(model_, PairLoss::negatives), Adapter::create(model_->encoder().linears(), {}, 1), {});
  const auto step = [&](const std::vector<int32_t>& own) {
    std::vector<Tensor> batch = odd;
    batch.push_back(Tensor::from_vector(own, {static_cast<int64_t>(own.size())}));
    choices.step(batch);
  };
  EXPECT_THROW(step({0, 1}), ShapeError);
  EXPECT_THROW(step({2}), ValueError);
}

}  // namespace
}  // namespace lazuli
