// Checks the command classify: what it prints, with and without an adapter, and what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/program.h"
#include "lazuli/safetensors.h"
#include "support/tiny_reranker.h"

namespace lazuli {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct ClassifyResult {
  int code;
  std::string out, err;
};

class ClassifyCommand : public testing::Test {
 protected:
  ClassifyCommand() {
    std::ofstream alone(folder_ / "texts.jsonl"), pairs(folder_ / "pairs.jsonl");
    for (const std::string& text : model_.texts()) {
      alone << test::JsonTree({{"text", text}}).dump() << "\n";
      pairs << test::JsonTree({{"query", model_.query()}, {"passage", text}}).dump() << "\n";
    }
  }
  ClassifyResult run(const std::string& model, const std::string& input, const std::vector<std::string>& more) const {
    std::vector<std::string> words = {"classify", "--model", model, "--input", folder_ / input, "--threads", "1"};
    words.insert(words.end(), more.begin(), more.end());
    const Program program(folder_, words);
    const int code = program.wait();
    return {code, program.out(), program.err()};
  }
  /// Compares the probabilities of all labels with rows of the fixture.
  static void expect_rows(const std::string& out, const JsonValue& rows) {
    const JsonDocument document = JsonDocument::parse(out, "output");
    std::vector<JsonValue> judged;
    for (const JsonValue& row : rows.as_array()) judged.push_back(row);
    size_t k = 0;
    for (const JsonValue& result : document.root().get("results").as_array()) {
      ASSERT_LT(k, judged.size());
      std::vector<double> expected;
      for (const JsonValue& number : judged[k++].as_array()) expected.push_back(number.as_double());
      size_t n = 0, best = 0;
      std::string label;
      for (const JsonMember& m : result.get("probabilities").as_object()) {
        EXPECT_NEAR(m.value.as_double(), expected.at(n), 1e-5) << k;
        if (expected[n] > expected[best] || n == 0) {
          best = n;
          label = std::string(m.key);
        }
        ++n;
      }
      EXPECT_EQ(result.get("label").as_string(), label);
    }
    EXPECT_EQ(k, judged.size());
  }
  TestFolder folder_;
  test::TinyReranker model_{"modernbert-classes"};
};

TEST_F(ClassifyCommand, PrintsALabelForEachTextInTheirOrder) {
  const ClassifyResult r = run(model_.folder(), "texts.jsonl", {"--quiet"});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_TRUE(r.out.starts_with("0.4384  bad  a cat\n0.5254  good  The Dog sat on the mat")) << r.out;
}

TEST_F(ClassifyCommand, JsonHasTheProbabilitiesOfAllLabels) {
  const ClassifyResult alone = run(model_.folder(), "texts.jsonl", {"--json"}), pairs = run(model_.folder(), "pairs.jsonl", {"--json"});
  ASSERT_EQ(alone.code, 0) << alone.err;
  expect_rows(alone.out, model_.expected().get("alone"));
  ASSERT_EQ(pairs.code, 0) << pairs.err;
  expect_rows(pairs.out, model_.expected().get("pairs"));
}

TEST_F(ClassifyCommand, AnAdapterOfPeftBringsItsHead) {
  const test::TinyReranker base("train-classes");
  const std::string adapter = test::data_folder("rerankers/train-classes");
  const ClassifyResult whole = run(base.folder(), "pairs.jsonl", {"--json", "--adapter-path", adapter});
  ASSERT_EQ(whole.code, 0) << whole.err;
  const std::vector<double> logits = base.numbers("logits_after");
  const auto check = [&](const std::string& out) {
    const JsonDocument document = JsonDocument::parse(out, "output");
    size_t k = 0;
    for (const JsonValue& result : document.root().get("results").as_array()) {
      double sum = 0;
      for (size_t n = 0; n < 3; ++n) sum += std::exp(logits.at(3 * k + n));
      for (size_t n = 0; n < 3; ++n) {
        const double got = result.get("probabilities").get("LABEL_" + std::to_string(n)).as_double();
        EXPECT_NEAR(got, std::exp(logits[3 * k + n]) / sum, 1e-5);
      }
      ++k;
    }
    EXPECT_EQ(3 * k, logits.size());
  };
  check(whole.out);
  // The same model without a head of its own.
  std::map<std::string, Tensor> weights;
  {
    const Checkpoint stored = Checkpoint::open(base.folder());
    for (const std::string& name : stored.names()) {
      if (!name.starts_with("classifier")) weights.emplace(name, stored.tensor(name).to(DType::f32));
    }
  }
  save_safetensors(base.folder() + "/model.safetensors", weights);
  const ClassifyResult brought = run(base.folder(), "pairs.jsonl", {"--json", "--adapter-path", adapter});
  ASSERT_EQ(brought.code, 0) << brought.err;
  check(brought.out);
  const ClassifyResult without = run(base.folder(), "pairs.jsonl", {});
  EXPECT_EQ(without.code, 1);
  EXPECT_THAT(without.err, HasSubstr("classifier.weight"));
}

TEST_F(ClassifyCommand, TrainsOnModernBertAndTellsTheClasses) {
  std::ofstream rows(folder_ / "rows.jsonl");
  for (int k = 0; k < 20; ++k) rows << test::JsonTree({{"text", model_.texts()[k % 2 == 0 ? 0 : 1]}, {"label", k % 2}}).dump() << "\n";
  rows.close();
  const Program train(folder_,
                      {"finetune", "--task", "classify", "--model", model_.folder(), "--data", folder_ / "rows.jsonl", "--adapter-path",
                       folder_ / "adapter", "--iters", "40", "--learning-rate", "2e-2", "--threads", "1", "--json"});
  ASSERT_EQ(train.wait(), 0) << train.err();
  EXPECT_EQ(JsonDocument::parse(train.out(), "output").root().get("val_accuracy").as_double(), 1);
  const ClassifyResult r = run(model_.folder(), "texts.jsonl", {"--quiet", "--adapter-path", folder_ / "adapter"});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_THAT(r.out, AllOf(HasSubstr("  bad  a cat\n"), HasSubstr("  so so  The Dog sat")));
}

TEST_F(ClassifyCommand, RowsOfTwoKindsAndDecodersAreRefused) {
  std::ofstream(folder_ / "mixed.jsonl") << "{\"text\": \"a\"}\n{\"query\": \"a\", \"passage\": \"b\"}\n";
  const ClassifyResult mixed = run(model_.folder(), "mixed.jsonl", {});
  EXPECT_EQ(mixed.code, 1);
  EXPECT_THAT(mixed.err, AllOf(HasSubstr("mixed.jsonl:2"), HasSubstr("same kind as the first")));
  const ClassifyResult decoder = run(test::TinyReranker("qwen3").folder(), "texts.jsonl", {});
  EXPECT_EQ(decoder.code, 1);
  EXPECT_THAT(decoder.err, HasSubstr("classification head is expected"));
}

TEST_F(ClassifyCommand, DoctorNamesWhatAHeadIsFor) {
  const Program classes(folder_, {"doctor", "--model", model_.folder()});
  ASSERT_EQ(classes.wait(), 0) << classes.err();
  EXPECT_THAT(classes.out(), AllOf(HasSubstr("head            a classification head of 3 labels\n"),
                                   HasSubstr("yes, with embed, similar, classify\n"), HasSubstr("--task similarity, --task classify\n")));
  const test::TinyReranker one("modernbert");
  const Program ranks(folder_, {"doctor", "--model", one.folder()});
  ASSERT_EQ(ranks.wait(), 0) << ranks.err();
  EXPECT_THAT(ranks.out(), AllOf(HasSubstr("a classification head of 1 label\n"), HasSubstr("classify, rerank\n")));
}

}  // namespace
}  // namespace lazuli
