// Checks cross-encoders against CrossEncoder of sentence-transformers, and Qwen3-Reranker against its recipe.
#include "lazuli/rerank.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "lazuli/encoder.h"
#include "lazuli/error.h"
#include "lazuli/evaluate.h"
#include "lazuli/safetensors.h"
#include "support/notices.h"
#include "support/temp_folder.h"
#include "support/tiny_reranker.h"

namespace lazuli {
namespace {

using test::JsonTree;
using test::message_of;
using test::TinyReranker;
using testing::AllOf;
using testing::DoubleNear;
using testing::HasSubstr;
using testing::Pointwise;

std::vector<double> scores_of(const TinyReranker& folder, int64_t batch_size = 32, DType dtype = DType::f32) {
  Reranker reranker(RerankModel::load(folder.folder(), dtype));
  RerankOptions options;
  options.batch_size = batch_size;
  const std::vector<std::string> texts = folder.texts();
  return reranker.run(folder.query(), texts, options).scores.to_vector<double>();
}

class CrossEncoders : public testing::TestWithParam<const char*> {};

TEST_P(CrossEncoders, ScorePairsAsTheJudgeDoes) {
  const TinyReranker folder(GetParam());
  const auto model = RerankModel::load(folder.folder());
  EXPECT_EQ(model->labels(), 1);
  EXPECT_EQ(model->max_length(), folder.expected().get("max_length").as_int());
  size_t k = 0;
  for (const JsonValue& row : folder.expected().get("ids").as_array()) {
    std::vector<int32_t> ids;
    for (const JsonValue& id : row.as_array()) ids.push_back(static_cast<int32_t>(id.as_int()));
    const PairTokens pair = model->tokenize(folder.query(), folder.texts()[k]);
    EXPECT_EQ(pair.ids, ids);
    EXPECT_EQ(pair.ids.size() + static_cast<size_t>(pair.cut), static_cast<size_t>(folder.ids("full_lengths")[k]));
    ++k;
  }
  const std::vector<double> expected = folder.numbers("scores");
  EXPECT_THAT(scores_of(folder), Pointwise(DoubleNear(1e-5), expected));
  EXPECT_THAT(scores_of(folder, 2), Pointwise(DoubleNear(1e-5), expected));
  EXPECT_THAT(scores_of(folder, 32, DType::bf16), Pointwise(DoubleNear(0.05), expected));
}

TEST_P(CrossEncoders, AFunctionThatTheFolderNamesReplacesTheSigmoid) {
  const TinyReranker folder(GetParam());
  folder.write("config_sentence_transformers.json",
               R"({"model_type": "CrossEncoder", "activation_fn": "torch.nn.modules.linear.Identity"})");
  EXPECT_THAT(scores_of(folder), Pointwise(DoubleNear(1e-5), folder.numbers("logits")));
}

const char* const kJudged[] = {"bert",    "mpnet",      "roberta",    "camembert",       "xlm-roberta",
                               "electra", "distilbert", "modernbert", "modernbert-mean", "qwen3"};

INSTANTIATE_TEST_SUITE_P(All, CrossEncoders, testing::ValuesIn(kJudged), [](const auto& model) {
  std::string name = model.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(CrossEncoder, KindsOfTextCountUnlessTheTokenizerKeepsThem) {
  const TinyReranker folder("bert");
  const std::vector<double> with = scores_of(folder);
  folder.write("tokenizer_config.json", R"({"model_max_length": 40, "model_input_names": ["input_ids", "attention_mask"]})");
  EXPECT_THAT(scores_of(folder), testing::Not(Pointwise(DoubleNear(1e-4), with)));
  folder.write("tokenizer_config.json", R"({"model_max_length": 40})");
  EXPECT_EQ(scores_of(folder), with);
  // A class that transformers knows no inputs of gives none.
  folder.write("tokenizer_config.json", R"({"model_max_length": 40, "tokenizer_class": "PreTrainedTokenizerFast"})");
  EXPECT_THAT(scores_of(folder), testing::Not(Pointwise(DoubleNear(1e-4), with)));
}

TEST(CrossEncoder, OlderFoldersNameTheFunctionInTheirConfiguration) {
  for (const char* key : {"sentence_transformers", "sbert_ce_default_activation_function"}) {
    const TinyReranker folder("bert");
    const std::string path = "torch.nn.modules.linear.Identity";
    folder.set(key,
               std::string_view(key) == "sentence_transformers" ? JsonTree({{"activation_fn", path}, {"version", "4.1"}}) : JsonTree(path));
    EXPECT_THAT(scores_of(folder), Pointwise(DoubleNear(1e-5), folder.numbers("logits"))) << key;
  }
}

TEST(CrossEncoder, AFunctionOfAnotherPackageIsToldAndReplaced) {
  const TinyReranker folder("bert");
  folder.set("sbert_ce_default_activation_function", "my.package.Function");
  const test::Notices notices;
  EXPECT_THAT(scores_of(folder), Pointwise(DoubleNear(1e-5), folder.numbers("scores")));
  EXPECT_THAT(notices.told(), testing::Contains(HasSubstr("'my.package.Function' is no function of torch")));
  folder.set("sbert_ce_default_activation_function", "torch.nn.modules.activation.Softmax");
  EXPECT_THAT(message_of<FormatError>([&] { scores_of(folder); }), HasSubstr("Sigmoid, Identity"));
}

TEST(CrossEncoder, AFolderOfItsOwnModulesIsRead) {
  const TinyReranker folder("bert");
  folder.write("modules.json",
               R"([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"}])");
  folder.write("sentence_bert_config.json", R"({"transformer_task": "sequence-classification", "module_output_name": "scores",
      "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}}})");
  folder.write("config_sentence_transformers.json",
               R"({"model_type": "CrossEncoder", "prompts": {"q": "find "}, "default_prompt_name": "q"})");
  const auto model = RerankModel::load(folder.folder());
  EXPECT_EQ(model->prompt(""), "find ");
  EXPECT_EQ(model->tokenize("a cat", "b", model->prompt("")).ids, model->tokenize("find a cat", "b").ids);
  EXPECT_THAT(message_of<ValueError>([&] { model->prompt("none"); }), AllOf(HasSubstr("none"), HasSubstr("its prompts are q")));
}

TEST(CrossEncoder, OtherModulesAndModelsAreRefusedByName) {
  const auto error = [](const char* file, const std::string& text) {
    const TinyReranker folder("bert");
    folder.write(file, text);
    return message_of<FormatError>([&] { RerankModel::load(folder.folder()); });
  };
  EXPECT_THAT(error("modules.json", R"([{"path": "", "type": "sentence_transformers.models.Pooling"}])"), HasSubstr("models.Pooling"));
  EXPECT_THAT(error("modules.json", R"([{"path": "../x", "type": "sentence_transformers.models.Transformer"}])"), HasSubstr("../x"));
  EXPECT_THAT(error("modules.json", "[]"), HasSubstr("a Transformer expected"));
  EXPECT_THAT(error("config_sentence_transformers.json", R"({"model_type": "SentenceTransformer"})"), HasSubstr("CrossEncoder expected"));
  EXPECT_THAT(error("sentence_bert_config.json", R"({"transformer_task": "fill-mask"})"), HasSubstr("'sequence-classification' expected"));
}

TEST(CrossEncoder, AnEncoderWithoutAHeadLacksItByName) {
  const TinyReranker folder("bert");
  std::map<std::string, Tensor> weights;
  {
    const Checkpoint stored = Checkpoint::open(folder.folder());
    for (const std::string& name : stored.names()) {
      if (!name.starts_with("classifier")) weights.emplace(name, stored.tensor(name).to(DType::f32));
    }
  }
  save_safetensors(folder.folder() + "/model.safetensors", weights);
  EXPECT_THAT(message_of<FormatError>([&] { RerankModel::load(folder.folder()); }), HasSubstr("classifier.weight"));
}

TEST(CrossEncoder, TheHeadIsNotCalledLeftOut) {
  const TinyReranker folder("bert");
  const test::Notices notices;
  RerankModel::load(folder.folder());
  EXPECT_THAT(notices.told(), testing::IsEmpty());
}

TEST(CrossEncoder, MoreLabelsGiveANumberEach) {
  const TinyReranker folder("bert");
  std::map<std::string, Tensor> weights;
  {
    const Checkpoint stored = Checkpoint::open(folder.folder());
    for (const std::string& name : stored.names()) weights.emplace(name, stored.tensor(name).to(DType::f32));
  }
  const auto row = weights.at("classifier.weight").to_vector<float>();
  std::vector<float> three;
  for (const float factor : {0.0F, 1.0F, 2.0F}) {
    for (const float v : row) three.push_back(factor * v);
  }
  weights["classifier.weight"] = Tensor::from_vector(three, {3, static_cast<int64_t>(row.size())});
  weights["classifier.bias"] = Tensor::from_vector<float>({1, weights.at("classifier.bias").to_vector<float>()[0], 2}, {3});
  save_safetensors(folder.folder() + "/model.safetensors", weights);
  folder.set("id2label", {{"0", "a"}, {"1", "b"}, {"2", "c"}});
  Reranker reranker(RerankModel::load(folder.folder()));
  const Tensor scores = reranker.run(folder.query(), folder.texts()).scores;
  ASSERT_EQ(scores.shape(), (Shape{5, 3}));
  const auto numbers = scores.to_vector<double>();
  EXPECT_EQ(numbers[0], 1);
  EXPECT_NEAR(numbers[4], folder.numbers("logits")[1], 1e-5);
}

TEST(QwenReranker, FollowsItsRecipeWhereTheFolderHasAChatTemplate) {
  const TinyReranker folder("qwen3");
  const int64_t length = folder.expected().get("recipe_length").as_int();
  folder.write("tokenizer_config.json", R"({"model_max_length": )" + std::to_string(length) + R"(, "chat_template": "{{ messages }}"})");
  const auto model = RerankModel::load(folder.folder());
  size_t k = 0;
  for (const JsonValue& row : folder.expected().get("recipe_ids").as_array()) {
    std::vector<int32_t> ids;
    for (const JsonValue& id : row.as_array()) ids.push_back(static_cast<int32_t>(id.as_int()));
    EXPECT_EQ(model->tokenize(folder.query(), folder.texts()[k++]).ids, ids);
  }
  EXPECT_THAT(scores_of(folder), Pointwise(DoubleNear(1e-5), folder.numbers("recipe_scores")));
  EXPECT_NE(model->tokenize("a", "b", "Find code").ids, model->tokenize("a", "b").ids);
  folder.write("tokenizer_config.json", R"({"model_max_length": 40, "chat_template": "{{ messages }}"})");
  EXPECT_THAT(message_of<FormatError>([&] { RerankModel::load(folder.folder()); }), HasSubstr("maximum length above"));
}

TEST(QwenReranker, TheAnswersMayBeNamedByTheFolder) {
  const TinyReranker folder("qwen3");
  folder.write("modules.json", R"([{"path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"},
      {"path": "1_LogitScore", "type": "sentence_transformers.cross_encoder.modules.logit_score.LogitScore"}])");
  const auto model = [&](const std::string& ids) {
    folder.write("1_LogitScore/config.json", ids);
    return scores_of(folder);
  };
  EXPECT_THAT(model(R"({"true_token_id": 261, "false_token_id": 260, "module_input_name": "causal_logits"})"),
              Pointwise(DoubleNear(1e-5), folder.numbers("scores")));
  EXPECT_THAT(model(R"({"true_token_id": 260, "false_token_id": 261})")[0], DoubleNear(1 - folder.numbers("scores")[0], 1e-5));
  EXPECT_NE(model(R"({"true_token_id": 261})"), model(R"({"true_token_id": 261, "false_token_id": 260})"));
  EXPECT_THAT(message_of<FormatError>([&] { model(R"({"true_token_id": 400})"); }), HasSubstr("below the vocabulary size 304"));
  EXPECT_THAT(message_of<FormatError>([&] { model(R"({"false_token_id": 4})"); }), HasSubstr("true_token_id"));
}

TEST(EncoderTypes, AreOfTheShapeOfTheIds) {
  const TinyReranker folder("bert");
  const auto encoder = load_encoder(folder.folder());
  const LazyTensor ids = LazyTensor::from_tensor(Tensor::zeros(DType::i32, {2, 3}));
  Tensor all = Tensor::zeros(DType::boolean, {2, 3});
  for (bool& seen : all.mutable_data<bool>()) seen = true;
  EncoderInputs inputs{ids, LazyTensor::from_tensor(all)};
  const auto plain = encoder->hidden(inputs).eval().to_vector<float>();
  inputs.types = ids;
  EXPECT_THAT(encoder->hidden(inputs).eval().to_vector<float>(), Pointwise(testing::FloatNear(1e-6F), plain));
  inputs.types = LazyTensor::from_tensor(Tensor::zeros(DType::i32, {2, 4}));
  EXPECT_THROW(encoder->hidden(inputs), ShapeError);
}

}  // namespace
}  // namespace lazuli
