// Checks what `doctor --model` says of folders that can be used, and of those that cannot.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/json.h"
#include "cli/program.h"
#include "lazuli/safetensors.h"
#include "support/tiny_folder.h"

namespace lazuli {
namespace {

using testing::HasSubstr;

class DoctorOfModels : public testing::Test {
 protected:
  void SetUp() override { test::write_tiny_llama(folder_ / "model"); }
  /// What the program says as text, after a check that its JSON agrees.
  std::string says(bool can_run) const {
    const Program json(folder_, {"doctor", "--json", "--model", folder_ / "model"});
    EXPECT_EQ(json.wait(), can_run ? 0 : 1) << json.err();
    const JsonDocument document = JsonDocument::parse(json.out(), "stdout");
    EXPECT_EQ(document.root().get("can_run").as_bool(), can_run);
    bool all_ok = true;
    for (const JsonValue& finding : document.root().get("findings").as_array()) all_ok &= finding.get("ok").as_bool();
    EXPECT_EQ(all_ok, can_run);
    const Program text(folder_, {"doctor", "--model", folder_ / "model"});
    EXPECT_EQ(text.wait(), can_run ? 0 : 1);
    return text.out();
  }
  void write(const std::string& name, const std::string& text) const { std::ofstream(folder_ / ("model/" + name)) << text; }

  TestFolder folder_;
};

TEST_F(DoctorOfModels, WholeFoldersCanBeRunAndTrained) {
  const std::string text = says(true);
  EXPECT_THAT(text, HasSubstr("configuration   llama, 2 layers of "));
  EXPECT_THAT(text, HasSubstr(": complete\n"));
  EXPECT_THAT(text, HasSubstr("template        no chat template"));
  EXPECT_THAT(text, HasSubstr("can be run      yes, with generate, eval\ncan be trained  yes, with finetune\n"));
}

TEST_F(DoctorOfModels, ArchitecturesThatAreNotBuiltInAreNamed) {
  write("config.json", R"({"model_type": "rwkv"})");
  EXPECT_THAT(says(false), HasSubstr("configuration   NOT OK: the architecture 'rwkv' is not built in; these are: "));
}

TEST_F(DoctorOfModels, MissingAndAdditionalTensorsAreNamed) {
  auto weights = test::tiny_llama_weights();
  weights["vision_tower.norm.weight"] = Tensor::zeros(DType::f32, {2});
  save_safetensors(folder_ / "model/model.safetensors", weights);
  EXPECT_THAT(says(true), HasSubstr("left out: 1 tensor that no part of the model needs ('vision_tower.norm.weight')"));
  weights.erase("model.layers.1.mlp.up_proj.weight");
  save_safetensors(folder_ / "model/model.safetensors", weights);
  EXPECT_THAT(says(false), HasSubstr("tensor 'model.layers.1.mlp.up_proj.weight' of shape "));
}

TEST_F(DoctorOfModels, TokenizersThatCannotBeReadAreNamed) {
  std::filesystem::remove(folder_ / "model/tokenizer.json");
  EXPECT_THAT(says(false), HasSubstr("tokenizer       NOT OK: "));
}

TEST_F(DoctorOfModels, WeightsThatAreStoredRoundedAreNamed) {
  std::string config = test::kTinyLlamaConfig;
  config.insert(config.find('{') + 1, R"("quantization_config": {"quant_method": "bitsandbytes"}, )");
  write("config.json", config);
  EXPECT_THAT(says(false), HasSubstr("quantization_config"));
}

TEST_F(DoctorOfModels, ModelsThatAreNotThereSaySo) {
  std::filesystem::remove_all(folder_ / "model");
  EXPECT_THAT(says(false), HasSubstr("configuration   NOT OK: "));
}

}  // namespace
}  // namespace lazuli
