// Checks adapters: their factors, and files in PEFT's layout.
#include "lazuli/adapter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string_view>

#include "base/file.h"
#include "base/json.h"
#include "lazuli/error.h"
#include "lazuli/safetensors.h"
#include "nn/adapter_layers.h"
#include "support/notices.h"
#include "support/source_folder.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

using test::message_of;
using test::TempFolder;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Adapter, NewFactorsAreBoundedAndZero) {
  const Adapter adapter = Adapter::create(kLayers, targets({"all-linear"}), 5);
  ASSERT_EQ(adapter.pairs().size(), 4U);
  EXPECT_EQ(adapter.parameter_count(), 2 * (2 * 16 + 2 * 20));
  for (float v : adapter.pairs()[1].a.data<float>()) EXPECT_LE(std::abs(v), 1 / std::sqrt(8.0F));
  for (float v : adapter.pairs()[1].b.data<float>()) EXPECT_EQ(v, 0.0F);
  EXPECT_NE(adapter.pairs()[0].a.to_vector<float>(), adapter.pairs()[2].a.to_vector<float>());
}

TEST(Adapter, RoundTripKeepsFactorsAndSettings) {
  const TempFolder folder;
  LoRAConfig config = targets({"up_proj", "q_proj"});
  config.alpha = 32;
  config.dropout = 0.25;
  config.use_rslora = true;
  config.base_model = "models/tiny";
  Adapter adapter = Adapter::create(kLayers, config, 1);
  std::vector<Tensor> parameters = adapter.parameters();
  parameters[1] = Tensor::from_vector(std::vector<float>(16, 0.5F), {8, 2});
  adapter.set_parameters(parameters);
  adapter.save(folder.path());
  const Adapter back = Adapter::load(folder.path(), kLayers);
  EXPECT_EQ(back.config().rank, 2);
  EXPECT_EQ(back.config().alpha, 32);
  EXPECT_EQ(back.config().dropout, 0.25);
  EXPECT_EQ(back.config().base_model, "models/tiny");
  EXPECT_NEAR(back.config().scale(), 32 / std::sqrt(2.0), 1e-12);
  EXPECT_THAT(back.config().target_modules, ElementsAre("q_proj", "up_proj"));
  ASSERT_EQ(back.parameters().size(), parameters.size());
  for (size_t k = 0; k < parameters.size(); ++k) EXPECT_EQ(back.parameters()[k].to_vector<float>(), parameters[k].to_vector<float>());
}

TEST(Adapter, NamesAreSavedAsPathsWhereShortOnesWouldChooseMore) {
  const TempFolder folder;
  LoRAConfig c = targets({"layers.1.self_attn.q_proj"});
  Adapter::create(kLayers, c, 1).save(folder.path());
  EXPECT_THAT(Adapter::load(folder.path(), kLayers).config().target_modules, ElementsAre("model.layers.1.self_attn.q_proj"));
}

TEST(Adapter, ReferenceAdapterOfPeftLoads) {
  std::vector<LinearInfo> layers;
  for (int k = 0; k < 8; ++k) {
    const std::string path = "model.layers." + std::to_string(k);
    for (const char* name : {"q_proj", "o_proj"}) layers.push_back({path + ".self_attn." + name, 384, 384});
    for (const char* name : {"k_proj", "v_proj"}) layers.push_back({path + ".self_attn." + name, 384, 128});
    for (const char* name : {"gate_proj", "up_proj"}) layers.push_back({path + ".mlp." + name, 384, 1024});
    layers.push_back({path + ".mlp.down_proj", 1024, 384});
  }
  const Adapter adapter = Adapter::load(source_folder() + "/tests/data/pycoder-16m/lora_after_40_steps", layers);
  EXPECT_EQ(adapter.pairs().size(), 56U);
  EXPECT_EQ(adapter.config().scale(), 2.0);
}

class AdapterFiles : public testing::Test {
 protected:
  void SetUp() override { Adapter::create(kLayers, targets({"q_proj"}), 1).save(folder_.path()); }
  std::string error() const {
    return message_of<FormatError>([&] { Adapter::load(folder_.path(), kLayers); });
  }
  void replace(const std::string& from, const std::string& to) const {
    std::string text = read_file(folder_.path("adapter_config.json"), 1 << 20);
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    folder_.write("adapter_config.json", text.replace(at, from.size(), to));
  }
  TempFolder folder_;
};

TEST_F(AdapterFiles, UnsupportedSettingsAreRefusedByName) {
  replace("\"use_dora\": false", "\"use_dora\": true");
  EXPECT_THAT(error(), HasSubstr("use_dora"));
}
TEST_F(AdapterFiles, SavedModulesAreRefusedByName) {
  replace("\"modules_to_save\": null", "\"modules_to_save\": [\"lm_head\"]");
  EXPECT_THAT(error(), HasSubstr("modules_to_save"));
}
TEST_F(AdapterFiles, BiasIsRefused) {
  replace("\"bias\": \"none\"", "\"bias\": \"all\"");
  EXPECT_THAT(error(), HasSubstr("bias"));
}
TEST_F(AdapterFiles, StartsThatChangeTheModelAreRefused) {
  replace("\"init_lora_weights\": true", "\"init_lora_weights\": \"pissa\"");
  EXPECT_THAT(error(), HasSubstr("pissa"));
}
TEST_F(AdapterFiles, OtherMethodsAreRefused) {
  replace("\"LORA\"", "\"IA3\"");
  EXPECT_THAT(error(), HasSubstr("IA3"));
}
TEST_F(AdapterFiles, AnotherRankNamesTheTensorAndItsShape) {
  replace("\"r\": 2", "\"r\": 4");
  EXPECT_THAT(error(), testing::AllOf(HasSubstr("adapter_model.safetensors"), HasSubstr("q_proj.lora_A.weight"), HasSubstr("(4, 8)")));
}
TEST_F(AdapterFiles, MissingAndSpareTensorsAreNamed) {
  replace("\"q_proj\"", "\"q_proj\", \"up_proj\"");
  EXPECT_THAT(error(), testing::AllOf(HasSubstr("up_proj.lora_A.weight"), HasSubstr("missing")));
  replace("\"q_proj\", \"up_proj\"", "\"0.self_attn.q_proj\"");
  EXPECT_THAT(error(), HasSubstr("layers.1.self_attn.q_proj.lora_A.weight"));
}
TEST_F(AdapterFiles, TargetsOfWhichTheModelHasNoneAreRefused) {
  replace("\"q_proj\"", "\"c_attn\"");
  EXPECT_THAT(error(), testing::AllOf(HasSubstr("adapter_config.json"), HasSubstr("c_attn")));
}
TEST_F(AdapterFiles, TargetsThatTheModelLacksBesideOnesThatItHasAreTold) {
  const test::Notices notices;
  replace("\"q_proj\"", "\"q_proj\", \"c_attn\"");
  EXPECT_EQ(Adapter::load(folder_.path(), kLayers).pairs().size(), 2U);
  EXPECT_THAT(notices.told(), ElementsAre(testing::AllOf(HasSubstr("adapter_config.json"), HasSubstr("'c_attn' names no layer"))));
}
TEST_F(AdapterFiles, AllLinearInAListIsNoName) {
  replace("\"q_proj\"", "\"all-linear\"");
  EXPECT_THAT(error(), HasSubstr("$.target_modules"));
}
TEST_F(AdapterFiles, TargetsMustBeThere) {
  replace("[\n    \"q_proj\"\n  ]", "null");
  EXPECT_THAT(error(), HasSubstr("$.target_modules"));
}
TEST_F(AdapterFiles, WhatTheFileDoesNotSayIsAsPeftTakesIt) {
  replace("\"r\": 2,", "");
  EXPECT_THAT(error(), HasSubstr("(8, 8)"));
  replace("\"lora_bias\"", "\"r\": 2, \"lora_bias\"");
  replace("\"lora_alpha\": 16,", "");
  EXPECT_EQ(Adapter::load(folder_.path(), kLayers).config().alpha, 8);
}
TEST_F(AdapterFiles, SettingsOfTrainingAndOriginAreWithoutMeaning) {
  const test::Notices notices;
  replace("\"fan_in_fan_out\": false", "\"fan_in_fan_out\": true, \"peft_version\": \"0.21.2\", \"megatron_core\": \"megatron.core\"");
  replace("\"inference_mode\": true", "\"inference_mode\": false");
  replace("\"init_lora_weights\": true", "\"init_lora_weights\": \"gaussian\"");
  EXPECT_EQ(Adapter::load(folder_.path(), kLayers).pairs().size(), 2U);
  EXPECT_THAT(notices.told(), IsEmpty());
}
TEST_F(AdapterFiles, SettingsOfALaterPeftAreTold) {
  const test::Notices notices;
  replace("\"lora_bias\"", "\"new_rule\": {\"x\": 1}, \"new_unset_rule\": null, \"lora_bias\"");
  Adapter::load(folder_.path(), kLayers);
  EXPECT_THAT(notices.told(), ElementsAre(HasSubstr("'new_rule' is not a known setting")));
}
TEST_F(AdapterFiles, OtherSettingsThatChangeResultsAreRefusedByName) {
  for (const char* key : {"lora_bias\": true", "trainable_token_indices\": [1]", "target_parameters\": [\"a\"]", "use_qalora\": true",
                          "layer_replication\": [[0, 1]]", "alora_invocation_tokens\": [1]", "megatron_config\": {\"a\": 1}"}) {
    const std::string text = read_file(folder_.path("adapter_config.json"), 1 << 20);
    const std::string name(key, std::string_view(key).find('"'));
    folder_.write("adapter_config.json", text.substr(0, text.rfind('}')) + ",\"" + std::string(key) + "}");
    EXPECT_THAT(error(), HasSubstr(name)) << key;
    folder_.write("adapter_config.json", text);
  }
}
TEST_F(AdapterFiles, TablesThatAreAdaptedAreRefusedByName) {
  const SafetensorsFile file = SafetensorsFile::open(folder_.path("adapter_model.safetensors"));
  for (const char* name : {"base_model.model.lm_head.lora_A.weight", "base_model.model.model.embed_tokens.lora_embedding_A",
                           "base_model.model.model.embed_tokens.base_layer.weight"}) {
    std::map<std::string, Tensor> tensors = {{name, Tensor::zeros(DType::f32, {2, 8})}};
    for (const std::string& own : file.names()) tensors[own] = file.tensor(own);
    save_safetensors(folder_.path("adapter_model.safetensors"), tensors);
    EXPECT_THAT(error(), testing::AllOf(HasSubstr(name), HasSubstr("embeddings and output layers are not supported"))) << name;
  }
}
TEST_F(AdapterFiles, OtherNamesOfTensorsAreShown) {
  const SafetensorsFile file = SafetensorsFile::open(folder_.path("adapter_model.safetensors"));
  std::map<std::string, Tensor> tensors;
  for (const std::string& own : file.names()) tensors[own.substr(0, own.size() - 6) + "default.weight"] = file.tensor(own);
  save_safetensors(folder_.path("adapter_model.safetensors"), tensors);
  EXPECT_THAT(error(), testing::AllOf(HasSubstr("is missing"), HasSubstr("the file has"), HasSubstr("lora_A.default.weight")));
}
TEST_F(AdapterFiles, FactorsOfAnyFloatDtypeAreRead) {
  const std::vector<float> before = Adapter::load(folder_.path(), kLayers).pairs()[0].a.to_vector<float>();
  const SafetensorsFile file = SafetensorsFile::open(folder_.path("adapter_model.safetensors"));
  for (DType dtype : {DType::f64, DType::bf16, DType::f16}) {
    std::map<std::string, Tensor> tensors;
    for (const std::string& own : file.names()) tensors[own] = file.tensor(own).to(dtype);
    save_safetensors(folder_.path("adapter_model.safetensors"), tensors);
    const Tensor a = Adapter::load(folder_.path(), kLayers).pairs()[0].a;
    EXPECT_EQ(a.dtype(), DType::f32);
    for (size_t k = 0; k < before.size(); ++k) EXPECT_NEAR(a.to_vector<float>()[k], before[k], 2e-3F);
  }
}

/// The paths that a file with these settings chooses, of which the last is one that nothing computes with.
TEST_F(AdapterFiles, FactorsOfOtherDtypesAreRefusedByName) {
  // The factors of both layers, in the order of their names.
  const auto with_dtypes = [&](const std::string& first, size_t first_bytes, const std::string& second, size_t second_bytes) {
    std::string header;
    size_t at = 0;
    for (const int layer : {0, 1}) {
      for (const char* factor : {"A", "B"}) {
        const bool last = layer == 1 && factor[0] == 'B';
        const size_t bytes = layer == 0 && factor[0] == 'A' ? first_bytes : last ? second_bytes : 64;
        const std::string dtype = layer == 0 && factor[0] == 'A' ? first : last ? second : "F32";
        header += (header.empty() ? "{" : ",") + ("\"base_model.model.model.layers." + std::to_string(layer)) + ".self_attn.q_proj.lora_" +
                  factor + ".weight\":{\"dtype\":\"" + dtype + "\",\"shape\":" + (factor[0] == 'A' ? "[2,8]" : "[8,2]") +
                  ",\"data_offsets\":[" + std::to_string(at) + "," + std::to_string(at + bytes) + "]}";
        at += bytes;
      }
    }
    header += "}";
    std::string file(8, '\0');
    for (size_t k = 0; k < 8; ++k) file[k] = static_cast<char>(header.size() >> (8 * k) & 0xff);
    folder_.write("adapter_model.safetensors", file + header + std::string(at, '\0'));
  };
  with_dtypes("F32", 64, "F32", 64);
  EXPECT_EQ(Adapter::load(folder_.path(), kLayers).pairs().size(), 2U);
  for (const auto& [name, bytes] :
       {std::pair<std::string, size_t>{"F8_E4M3", 16}, {"F8_E5M2", 16}, {"C64", 128}, {"I32", 64}, {"U16", 32}}) {
    with_dtypes(name, bytes, "F32", 64);
    EXPECT_THAT(error(), testing::EndsWith("tensor 'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight': a float dtype "
                                           "expected, got " +
                                           name));
    with_dtypes("F32", 64, name, bytes);
    EXPECT_THAT(error(), testing::EndsWith("tensor 'base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight': a float dtype "
                                           "expected, got " +
                                           name));
  }
}

TEST(Adapter, ParametersMustFitTheLayers) {
  Adapter adapter = Adapter::create(kLayers, targets({"q_proj"}), 1);
  std::vector<Tensor> parameters = adapter.parameters();
  ASSERT_EQ(parameters.size(), 4U);
  const auto error = [&](const std::vector<Tensor>& with) { return message_of<ShapeError>([&] { adapter.set_parameters(with); }); };
  EXPECT_EQ(error({parameters[0]}), "[lora] 4 parameters are expected, got 1");
  std::vector<Tensor> wrong = parameters;
  wrong[3] = parameters[0];
  EXPECT_EQ(error(wrong), "[lora] parameter b of 'model.layers.1.self_attn.q_proj': shape (8, 2) is expected, got (2, 8)");
  wrong = parameters;
  wrong[2] = parameters[1];
  EXPECT_EQ(error(wrong), "[lora] parameter a of 'model.layers.1.self_attn.q_proj': shape (2, 8) is expected, got (8, 2)");
  EXPECT_NO_THROW(adapter.set_parameters(parameters));
}

TEST_F(AdapterFiles, ExpressionsAreRead) {
  replace("[\n    \"q_proj\"\n  ]", "\".*q_proj\"");
  EXPECT_EQ(Adapter::load(folder_.path(), kLayers).pairs().size(), 2U);
}

}  // namespace
}  // namespace lazuli
