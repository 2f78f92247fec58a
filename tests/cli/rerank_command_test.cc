// Checks the command rerank: what it prints, and what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/program.h"
#include "support/tiny_reranker.h"

namespace lazuli {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class RerankCommand : public testing::Test {
 protected:
  RerankCommand() {
    std::ofstream rows(folder_ / "texts.jsonl");
    for (const std::string& text : model_.texts()) rows << test::JsonTree({{"text", text}}).dump() << "\n";
  }
  struct Result {
    int code;
    std::string out, err;
  };
  Result run(const std::vector<std::string>& more) const {
    std::vector<std::string> words = {
        "rerank", "--model", model_.folder(), "--query", model_.query(), "--input", folder_ / "texts.jsonl", "--threads", "1"};
    words.insert(words.end(), more.begin(), more.end());
    const Program program(folder_, words);
    const int code = program.wait();
    return {code, program.out(), program.err()};
  }
  TestFolder folder_;
  test::TinyReranker model_{"bert"};
};

TEST_F(RerankCommand, PrintsTheBestFirst) {
  const Result r = run({"--quiet", "--top-k", "2"});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_TRUE(r.out.starts_with(" 0.5840  The Dog sat on the mat")) << r.out;
  EXPECT_EQ(std::count(r.out.begin(), r.out.end(), '\n'), 2);
}

TEST_F(RerankCommand, JsonHasScoresIndicesAndWhatWasCut) {
  const Result r = run({"--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_THAT(r.err, HasSubstr("pairs of over 40 tokens"));
  const JsonDocument document = JsonDocument::parse(r.out, "output");
  const std::vector<double> scores = model_.numbers("scores");
  double before = 2;
  size_t count = 0;
  for (const JsonValue& hit : document.root().get("results").as_array()) {
    const double score = hit.get("score").as_double();
    EXPECT_NEAR(score, scores[static_cast<size_t>(hit.get("index").as_int())], 1e-5);
    EXPECT_LE(score, before);
    before = score;
    ++count;
  }
  EXPECT_EQ(count, scores.size());
}

TEST_F(RerankCommand, APromptComesBeforeTheQuery) {
  const Result plain = run({"--quiet"}), prompted = run({"--quiet", "--prompt", "find a dog "});
  ASSERT_EQ(prompted.code, 0) << prompted.err;
  EXPECT_NE(plain.out, prompted.out);
  EXPECT_EQ(run({"--prompt", "a", "--prompt-name", "b"}).code, 2);
  const Result unknown = run({"--prompt-name", "b"});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_THAT(unknown.err, HasSubstr("no prompt 'b'"));
}

TEST_F(RerankCommand, ScoresOfSeveralLabelsAreRefused) {
  model_.set("id2label", {{"0", "a"}, {"1", "b"}});
  const Result r = run({});
  EXPECT_EQ(r.code, 1);
  EXPECT_THAT(r.err, AllOf(HasSubstr("classifier.weight"), HasSubstr("labels")));
}

TEST_F(RerankCommand, AnAdapterTrainedOnLabelsMovesThePassages) {
  std::ofstream rows(folder_ / "rows.jsonl");
  for (int k = 0; k < 20; ++k) {
    rows << test::JsonTree({{"query", model_.query()}, {"passage", model_.texts()[0]}, {"label", 1}}).dump() << "\n"
         << test::JsonTree({{"query", model_.query()}, {"passage", model_.texts()[1]}, {"label", 0}}).dump() << "\n";
  }
  rows.close();
  const Program train(folder_,
                      {"finetune", "--task", "rerank", "--model", model_.folder(), "--data", folder_ / "rows.jsonl", "--adapter-path",
                       folder_ / "adapter", "--iters", "40", "--learning-rate", "2e-2", "--threads", "1", "--json"});
  ASSERT_EQ(train.wait(), 0) << train.err();
  EXPECT_THAT(train.err(), HasSubstr("36 pairs to train on, 4 to validate, 1 label"));
  const JsonDocument report = JsonDocument::parse(train.out(), "output");
  EXPECT_EQ(report.root().get("val_accuracy").as_double(), 1);
  EXPECT_LT(report.root().get("val_loss_after").as_double(), report.root().get("val_loss_before").as_double());
  const Result r = run({"--quiet", "--adapter-path", folder_ / "adapter"});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_LT(r.out.find("a cat\n"), r.out.find("The Dog sat"));
}

TEST_F(RerankCommand, ClassesAreTrainedAndAnotherNumberOfLabelsIsRefused) {
  std::ofstream rows(folder_ / "rows.jsonl");
  for (int k = 0; k < 12; ++k) rows << test::JsonTree({{"text", model_.texts()[k % 2 == 0 ? 0 : 1]}, {"label", k % 2}}).dump() << "\n";
  rows.close();
  const std::vector<std::string> words = {
      "finetune", "--task", "classify",  "--data", folder_ / "rows.jsonl", "--adapter-path", folder_ / "adapter",
      "--iters",  "3",      "--threads", "1"};
  auto wrong = words, right = words;
  wrong.insert(wrong.end(), {"--model", model_.folder()});
  const Program refused(folder_, wrong);
  EXPECT_EQ(refused.wait(), 1);
  EXPECT_THAT(refused.err(), HasSubstr("two labels or more"));
  const test::TinyReranker three("train-classes");
  right.insert(right.end(), {"--model", three.folder(), "--json"});
  const Program train(folder_, right);
  ASSERT_EQ(train.wait(), 0) << train.err();
  EXPECT_THAT(train.err(), AllOf(HasSubstr("11 texts to train on"), HasSubstr("accuracy on the rows for validation")));
}

}  // namespace
}  // namespace lazuli
