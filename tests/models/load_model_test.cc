// Checks the loading of models: a small Llama against numbers of transformers, and errors that name file and tensor.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lazuli/error.h"
#include "lazuli/model.h"
#include "support/temp_folder.h"
#include "support/tiny_llama.h"

namespace lazuli {
namespace {

using test::message_of;
using testing::AllOf;
using testing::HasSubstr;

const std::vector<int32_t> kIds = {3, 17, 42, 5, 60, 11, 29, 8, 1, 33, 50, 2, 7, 19, 63, 0, 12, 44, 21, 9};

class LoadModel : public testing::Test {
 protected:
  void write() const {
    folder_.write("config.json", config_);
    save_safetensors(folder_.path("model.safetensors"), weights_);
  }
  std::string error() const {
    write();
    return message_of<FormatError>([&] { load_model(folder_.path()); });
  }
  void replace(const std::string& from, const std::string& to) {
    const size_t at = config_.find(from);
    ASSERT_NE(at, std::string::npos);
    config_.replace(at, from.size(), to);
  }
  static std::vector<float> logits(const LanguageModel& model) {
    ForwardContext context;
    context.ids = LazyTensor::from_tensor(Tensor::from_vector(kIds, {1, static_cast<int64_t>(kIds.size())}));
    return model.forward(context).eval().to_vector<float>();
  }

  test::TempFolder folder_;
  std::string config_ = test::kTinyLlamaConfig;
  std::map<std::string, Tensor> weights_ = test::tiny_llama_weights();
};

TEST_F(LoadModel, LlamaMatchesTransformers) {
  write();
  const auto model = load_model(folder_.path());
  EXPECT_EQ(model->info().architecture, "llama");
  EXPECT_EQ(model->linears().size(), 14U);
  const auto got = logits(*model);
  const float first[] = {0.663683F, -0.267453F, -0.0328086F, -0.125418F};
  const float last[] = {1.99775F, 0.25229F, -0.115778F, 0.393997F, 0.629133F, 0.620976F, -0.888194F, -0.417114F};
  for (size_t k = 0; k < 4; ++k) EXPECT_NEAR(got[k], first[k], 1e-5) << k;
  for (size_t k = 0; k < 8; ++k) EXPECT_NEAR(got[got.size() - 64 + k], last[k], 1e-5) << k;
}

TEST_F(LoadModel, WeightsAreConvertedToTheDtypeAskedFor) {
  write();
  const auto model = load_model(folder_.path(), DType::bf16);
  EXPECT_EQ(model->info().dtype, DType::bf16);
  EXPECT_THROW(load_model(folder_.path(), DType::i32), ValueError);
}

TEST_F(LoadModel, ATiedModelUsesItsTableTwice) {
  write();
  weights_["lm_head.weight"] = weights_["model.embed_tokens.weight"];
  write();
  const auto untied = logits(*load_model(folder_.path()));
  weights_.erase("lm_head.weight");
  replace("\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true");
  write();
  EXPECT_EQ(logits(*load_model(folder_.path())), untied);
}

TEST_F(LoadModel, AHyperParameterThatDoesNotFitNamesFileTensorAndShape) {
  replace("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 1");
  EXPECT_THAT(error(), AllOf(HasSubstr("model.safetensors"), HasSubstr("model.layers.0.self_attn.k_proj.weight"), HasSubstr("(16, 32)"),
                             HasSubstr("(32, 32)"), HasSubstr("num_key_value_heads")));
}
TEST_F(LoadModel, AnotherVocabularySizeIsAnError) {
  replace("\"vocab_size\": 64", "\"vocab_size\": 65");
  EXPECT_THAT(error(), AllOf(HasSubstr("embed_tokens"), HasSubstr("(65, 32)")));
}
TEST_F(LoadModel, AnotherInnerSizeIsAnError) {
  replace("\"intermediate_size\": 48", "\"intermediate_size\": 40");
  EXPECT_THAT(error(), AllOf(HasSubstr("gate_proj"), HasSubstr("(40, 32)")));
}
TEST_F(LoadModel, AMissingTensorIsNamed) {
  weights_.erase("model.layers.1.mlp.down_proj.bias");
  EXPECT_THAT(error(), AllOf(HasSubstr("model.layers.1.mlp.down_proj.bias"), HasSubstr("missing")));
}
TEST_F(LoadModel, ASpareTensorIsNamed) {
  replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1");
  EXPECT_THAT(error(), HasSubstr("model.layers.1."));
}
TEST_F(LoadModel, IntegerWeightsAreRefused) {
  weights_["model.norm.weight"] = Tensor::zeros(DType::i32, {32});
  EXPECT_THAT(error(), AllOf(HasSubstr("model.norm.weight"), HasSubstr("float")));
}
TEST_F(LoadModel, UnknownArchitecturesAreNamedWithThoseThatExist) {
  replace("\"model_type\": \"llama\"", "\"model_type\": \"mamba\"");
  EXPECT_THAT(error(), AllOf(HasSubstr("config.json"), HasSubstr("mamba"), HasSubstr("llama"), HasSubstr("qwen2")));
}
TEST_F(LoadModel, UnknownActivationsAreRefused) {
  replace("\"hidden_act\": \"silu\"", "\"hidden_act\": \"relu2\"");
  EXPECT_THAT(error(), AllOf(HasSubstr("hidden_act"), HasSubstr("relu2")));
}
TEST_F(LoadModel, AnEmptyFolderIsAnError) { EXPECT_THROW(load_model(folder_.path()), IoError); }

}  // namespace
}  // namespace lazuli
