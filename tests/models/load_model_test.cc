// Checks the loading of models: a small Llama against numbers of transformers, and errors that name file and tensor.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "lazuli/error.h"
#include "lazuli/model.h"
#include "support/notices.h"
#include "support/temp_folder.h"
#include "support/tiny_llama.h"

namespace lazuli {
namespace {

using test::message_of;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

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

/// Checkpoints whose names, or output layers, are not those of a model with its own head.
class NamesOfWeights : public LoadModel {
 protected:
  std::vector<float> loaded() const {
    write();
    return logits(*load_model(folder_.path()));
  }
  void tie() { replace("\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true"); }
  void without_first_part() {
    std::map<std::string, Tensor> renamed;
    for (const auto& [name, tensor] : weights_) renamed[name.starts_with("model.") ? name.substr(6) : name] = tensor;
    weights_ = renamed;
  }
  Tensor table() const { return weights_.at("model.embed_tokens.weight"); }
};

TEST_F(NamesOfWeights, ATiedModelWithAnotherHeadUsesTheFilesOwn) {
  const std::vector<float> untied = loaded();
  tie();
  const test::Notices notices;
  EXPECT_EQ(loaded(), untied);
  EXPECT_THAT(notices.told(), ElementsAre(AllOf(HasSubstr("model.safetensors"), HasSubstr("'lm_head.weight' differs"))));
  EXPECT_NE(load_model(folder_.path(), DType::f32, Quantization::int8), nullptr);
}

TEST_F(NamesOfWeights, ATiedModelMayRepeatItsTableWithoutAWord) {
  tie();
  weights_["lm_head.weight"] = table();
  const test::Notices notices;
  const std::vector<float> repeated = loaded();
  const int64_t parameters = load_model(folder_.path())->info().parameters;
  weights_.erase("lm_head.weight");
  EXPECT_EQ(loaded(), repeated);
  EXPECT_EQ(load_model(folder_.path())->info().parameters, parameters);
  EXPECT_THAT(notices.told(), IsEmpty());
}

TEST_F(NamesOfWeights, ATiedModelMayHaveItsTableAsTheHeadAlone) {
  tie();
  weights_["lm_head.weight"] = table();
  const std::vector<float> both = loaded();
  weights_.erase("model.embed_tokens.weight");
  EXPECT_EQ(loaded(), both);
}

TEST_F(NamesOfWeights, AModelSavedWithoutItsHeadLoadsWhereTheHeadIsTied) {
  tie();
  weights_.erase("lm_head.weight");
  const std::vector<float> with_head = loaded();
  without_first_part();
  EXPECT_EQ(loaded(), with_head);
  EXPECT_EQ(load_model(folder_.path())->linears()[0].path, "model.layers.0.self_attn.q_proj");
  EXPECT_EQ(load_model(folder_.path())->linears()[0].weight, "layers.0.self_attn.q_proj.weight");
}

TEST_F(NamesOfWeights, AModelWithoutAHeadOrWithAnotherOneIsRefused) {
  weights_.erase("lm_head.weight");
  EXPECT_THAT(error(), AllOf(HasSubstr("model.safetensors"), HasSubstr("'lm_head.weight'"), HasSubstr("head that makes text")));
  weights_["score.weight"] = Tensor::zeros(DType::f32, {2, 32});
  EXPECT_THAT(error(), HasSubstr("it has 'score.weight'"));
  without_first_part();
  EXPECT_THAT(error(), HasSubstr("it has 'score.weight'"));
}

TEST_F(NamesOfWeights, AFileOfOtherNamesMissesItsTable) {
  std::map<std::string, Tensor> other;
  for (const auto& [name, tensor] : weights_) other["decoder." + name] = tensor;
  weights_ = other;
  EXPECT_THAT(error(), HasSubstr("'model.embed_tokens.weight'"));
}

TEST_F(NamesOfWeights, LayersUnderBothNamesAreRefused) {
  weights_["layers.0.mlp.up_proj.weight"] = weights_["model.layers.0.mlp.up_proj.weight"];
  EXPECT_THAT(error(), HasSubstr("'layers.0.mlp.up_proj.weight' is not one that config.json calls for"));
}

TEST_F(NamesOfWeights, PartsForOtherTasksAreCountedAndTold) {
  const std::vector<float> alone = loaded();
  for (const char* name : {"score.weight", "qa_outputs.bias", "qa_outputs.weight", "vision_tower.patch.weight"}) {
    weights_[name] = Tensor::zeros(DType::f32, {2});
  }
  weights_["model.layers.0.self_attn.rotary_emb.inv_freq"] = Tensor::zeros(DType::f32, {8});
  const test::Notices notices;
  EXPECT_EQ(loaded(), alone);
  EXPECT_THAT(notices.told(), ElementsAre(AllOf(HasSubstr("4 tensors that no part of the model needs"),
                                                HasSubstr("'qa_outputs.bias', 'qa_outputs.weight', 'score.weight' and 1 more"))));
  weights_.erase("score.weight");
  const test::Notices three;
  EXPECT_EQ(loaded(), alone);
  EXPECT_THAT(three.told(), ElementsAre(HasSubstr("('qa_outputs.bias', 'qa_outputs.weight', 'vision_tower.patch.weight')")));
}

TEST_F(NamesOfWeights, LayersBeyondTheModelsAreCountedAndTold) {
  replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1");
  const test::Notices notices;
  loaded();
  EXPECT_THAT(notices.told(),
              ElementsAre(AllOf(HasSubstr("16 tensors of layers beyond num_hidden_layers = 1"), HasSubstr("'model.layers.1."))));
}

TEST_F(NamesOfWeights, ATensorThatWouldChangeTheResultIsRefused) {
  for (const char* name : {"model.layers.0.self_attn.q_norm.weight", "model.layers.1.self_attn.q_proj.weight_scale", "model.norm.bias",
                           "model.embed_positions.weight", "lm_head.bias", "model.layers.x.weight"}) {
    weights_[name] = Tensor::zeros(DType::f32, {2});
    EXPECT_THAT(error(), HasSubstr(std::string("'") + name + "' is not one that config.json calls for")) << name;
    weights_.erase(name);
  }
}

TEST_F(NamesOfWeights, WeightsOf64BitsAreConverted) {
  const std::vector<float> single = loaded();
  for (auto& [name, tensor] : weights_) tensor = tensor.to(DType::f64);
  EXPECT_EQ(loaded(), single);
}

TEST_F(NamesOfWeights, AnAdapterInTheModelsFolderIsTold) {
  folder_.write("adapter_config.json", "{}");
  const test::Notices notices;
  loaded();
  EXPECT_THAT(notices.told(), ElementsAre(HasSubstr("--adapter-path")));
}

TEST_F(NamesOfWeights, OneFileComesBeforeAnIndex) {
  const std::vector<float> one = loaded();
  folder_.write("model.safetensors.index.json", R"({"weight_map": {"model.norm.weight": "none.safetensors"}})");
  EXPECT_EQ(loaded(), one);
}

TEST_F(NamesOfWeights, WhatAShardHoldsCountsThoughTheIndexDoesNotListIt) {
  const std::vector<float> one = loaded();
  std::filesystem::rename(folder_.path("model.safetensors"), folder_.path("part.safetensors"));
  folder_.write("model.safetensors.index.json", R"({"weight_map": {"model.norm.weight": "part.safetensors"}})");
  EXPECT_EQ(logits(*load_model(folder_.path())), one);
  folder_.write("model.safetensors.index.json", R"({"weight_map": {"model.norm.weight": "lost.safetensors"}})");
  EXPECT_THAT(message_of<IoError>([&] { load_model(folder_.path()); }),
              AllOf(HasSubstr("index.json"), HasSubstr("lost.safetensors is listed and not there")));
}

TEST_F(LoadModel, BiasesOfLlamaAreThoseThatItAsksFor) {
  replace("\"mlp_bias\": true", "\"mlp_bias\": null");
  EXPECT_THAT(error(), HasSubstr("$.mlp_bias"));
  replace("\"mlp_bias\": null", "\"mlp_bias\": false");
  EXPECT_THAT(error(), HasSubstr("mlp.down_proj.bias' is not one that config.json calls for"));
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
