// Checks probabilities of labels against AutoModelForSequenceClassification of transformers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "lazuli/adapter.h"
#include "lazuli/error.h"
#include "lazuli/rerank.h"
#include "lazuli/safetensors.h"
#include "support/tiny_reranker.h"

namespace lazuli {
namespace {

using test::message_of;
using test::TinyReranker;
using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pointwise;

std::vector<double> judged(const TinyReranker& folder, const char* key) {
  std::vector<double> out;
  for (const JsonValue& row : folder.expected().get(key).as_array()) {
    for (const JsonValue& number : row.as_array()) out.push_back(number.as_double());
  }
  return out;
}

std::vector<double> probabilities(const TinyReranker& folder, bool pairs, DType dtype = DType::f32) {
  const auto model = RerankModel::load(folder.folder(), dtype);
  std::vector<PairTokens> rows;
  for (const std::string& text : folder.texts()) rows.push_back(pairs ? model->tokenize(folder.query(), text) : model->tokenize_text(text));
  return Reranker(model, {}, PairOutput::probabilities).run(rows).scores.to_vector<double>();
}

TEST(Classes, HaveTheProbabilitiesOfTransformers) {
  const TinyReranker folder("modernbert-classes");
  EXPECT_THAT(RerankModel::load(folder.folder())->label_names(), ElementsAre("bad", "so so", "good"));
  EXPECT_THAT(probabilities(folder, false), Pointwise(DoubleNear(1e-5), judged(folder, "alone")));
  EXPECT_THAT(probabilities(folder, true), Pointwise(DoubleNear(1e-5), judged(folder, "pairs")));
  EXPECT_THAT(probabilities(folder, false, DType::bf16), Pointwise(DoubleNear(0.05), judged(folder, "alone")));
}

TEST(Classes, ThatDoNotExcludeEachOtherHaveTheirOwn) {
  const TinyReranker folder("modernbert-classes");
  folder.set("problem_type", "multi_label_classification");
  EXPECT_THAT(probabilities(folder, false), Pointwise(DoubleNear(1e-5), judged(folder, "alone_each")));
  folder.set("problem_type", "regression");
  EXPECT_THAT(message_of<ValueError>([&] { probabilities(folder, false); }), HasSubstr("problem_type of its config.json is regression"));
  folder.set("problem_type", "other");
  EXPECT_THAT(message_of<FormatError>([&] { RerankModel::load(folder.folder()); }), HasSubstr("$.problem_type"));
}

TEST(Classes, WithoutNamesAreNumbered) {
  EXPECT_THAT(RerankModel::load(TinyReranker("train-classes").folder())->label_names(), ElementsAre("LABEL_0", "LABEL_1", "LABEL_2"));
  EXPECT_TRUE(RerankModel::load(TinyReranker("qwen3").folder())->label_names().empty());
}

TEST(Classes, OfAnAdapterAreCountedInItsFile) {
  EXPECT_EQ(Adapter::stored_labels(test::data_folder("rerankers/train-classes")), 3);
  EXPECT_EQ(Adapter::stored_labels(test::data_folder("rerankers/train-relevance")), 1);
}

}  // namespace
}  // namespace lazuli
