// Checks adapters: the choice of layers, and files in PEFT's layout.
#include "lazuli/adapter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/file.h"
#include "base/json.h"
#include "lazuli/error.h"
#include "lazuli/safetensors.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

using test::message_of;
using test::TempFolder;
using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<LinearInfo> kLayers = {{"model.layers.0.self_attn.q_proj", 8, 8},
                                         {"model.layers.0.mlp.up_proj", 8, 12},
                                         {"model.layers.1.self_attn.q_proj", 8, 8},
                                         {"model.layers.1.mlp.up_proj", 8, 12}};

LoRAConfig targets(std::vector<std::string> names) {
  LoRAConfig c;
  c.rank = 2;
  c.target_modules = std::move(names);
  return c;
}

TEST(AdapterTargets, AreNamesEndsOfPathsOrAllLinear) {
  EXPECT_THAT(select_targets(targets({"all-linear"}), kLayers), ElementsAre(0U, 1U, 2U, 3U));
  EXPECT_THAT(select_targets(targets({"q_proj"}), kLayers), ElementsAre(0U, 2U));
  EXPECT_THAT(select_targets(targets({"1.mlp.up_proj", "q_proj"}), kLayers), ElementsAre(0U, 2U, 3U));
  EXPECT_THAT(message_of<ValueError>([] { select_targets(targets({"proj"}), kLayers); }), HasSubstr("q_proj, up_proj"));
}

TEST(AdapterTargets, AnExpressionMustMatchTheWholePath) {
  LoRAConfig c;
  c.target_pattern = R"(.*\.1\..*q_proj)";
  EXPECT_THAT(select_targets(c, kLayers), ElementsAre(2U));
  c.target_pattern = "q_proj";
  EXPECT_THROW(select_targets(c, kLayers), ValueError);
  c.target_pattern = "(";
  EXPECT_THAT(message_of<ValueError>([&] { select_targets(c, kLayers); }), HasSubstr("regular expression"));
  c.target_pattern = "(([a-z._0-9]+)*)*[XY]";
  EXPECT_THAT(message_of<ValueError>([&] { select_targets(c, kLayers); }), HasSubstr("too long"));
}

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
  const Adapter adapter = Adapter::load(std::string(LAZULI_SOURCE_DIR) + "/tests/data/pycoder-16m/lora_after_40_steps", layers);
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
TEST_F(AdapterFiles, RankPatternsAreRefusedByName) {
  replace("\"rank_pattern\": {}", "\"rank_pattern\": {\"q_proj\": 4}");
  EXPECT_THAT(error(), HasSubstr("rank_pattern"));
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
TEST_F(AdapterFiles, TargetsThatTheModelLacksAreRefused) {
  replace("\"q_proj\"", "\"c_attn\"");
  EXPECT_THAT(error(), testing::AllOf(HasSubstr("adapter_config.json"), HasSubstr("c_attn")));
}
TEST_F(AdapterFiles, ExpressionsAreRead) {
  replace("[\n    \"q_proj\"\n  ]", "\".*q_proj\"");
  EXPECT_EQ(Adapter::load(folder_.path(), kLayers).pairs().size(), 2U);
}

}  // namespace
}  // namespace lazuli
