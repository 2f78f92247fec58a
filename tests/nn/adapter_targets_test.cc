// Checks which layers an adapter's settings choose, and with which rank and scale.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "lazuli/adapter.h"
#include "lazuli/error.h"
#include "lazuli/safetensors.h"
#include "nn/adapter_layers.h"
#include "support/notices.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

using test::message_of;
using test::TempFolder;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

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

TEST(AdapterTargets, OfWholePathsAndEndsAreToldFromPartsOfNames) {
  const std::vector<LinearInfo> layers = {{"q_proj", 4, 4}, {"a.q_proj", 4, 4}, {"a.xq_proj", 4, 4}, {"b.q_proj.c", 4, 4}};
  EXPECT_THAT(select_targets(targets({"q_proj"}), layers), ElementsAre(0U, 1U));
  EXPECT_THAT(select_targets(targets({"a.q_proj"}), layers), ElementsAre(1U));
  EXPECT_THAT(select_targets(targets({"xq_proj", "c"}), layers), ElementsAre(2U, 3U));
  LoRAConfig c;
  c.target_pattern = "z.*";
  EXPECT_THAT(message_of<ValueError>([&] { select_targets(c, layers); }),
              HasSubstr("[lora] target_modules 'z.*' matches no layer of the model"));
}

class AdapterChoice : public testing::Test {
 protected:
  static std::vector<LinearInfo> layers() {
    std::vector<LinearInfo> all;
    for (int k = 0; k < 3; ++k) {
      for (const char* name : {"attention.self.query", "attention.output.dense", "output.dense"}) {
        all.push_back({"encoder.layer." + std::to_string(k) + "." + name, 4, 4});
      }
    }
    all.push_back({"pooler.dense", 4, 4, false});
    return all;
  }
  /// Writes factors for all layers that `paths` name, with the settings.
  Adapter load(const std::string& settings, const std::vector<std::string>& paths, int64_t rank = 2) const {
    std::map<std::string, Tensor> tensors;
    for (const std::string& path : paths) {
      tensors["base_model.model." + path + ".lora_A.weight"] = Tensor::zeros(DType::f32, {rank, 4});
      tensors["base_model.model." + path + ".lora_B.weight"] = Tensor::zeros(DType::f32, {4, rank});
    }
    save_safetensors(folder_.path("adapter_model.safetensors"), tensors);
    folder_.write("adapter_config.json", R"({"peft_type": "LORA", "r": 2, "lora_alpha": 4, )" + settings + "}");
    return Adapter::load(folder_.path(), layers());
  }
  static std::vector<std::string> paths_of(const std::vector<Adapter::Pair>& pairs) {
    std::vector<std::string> paths;
    for (const Adapter::Pair& pair : pairs) paths.push_back(pair.path);
    return paths;
  }
  TempFolder folder_;
};

TEST_F(AdapterChoice, OfBlocksByTheirNumbers) {
  const std::vector<std::string> one = {"encoder.layer.1.attention.self.query"};
  for (const char* more :
       {R"("layers_to_transform": [1])", R"("layers_to_transform": 1)", R"("layers_to_transform": [1], "layers_pattern": "layer")",
        R"("layers_to_transform": [1, 7], "layers_pattern": ["block", "layer"])"}) {
    EXPECT_EQ(paths_of(load(R"("target_modules": ["query"], )" + std::string(more), one).pairs()), one) << more;
  }
  // A whole path names its layer in any block, and an empty list is none.
  const std::string whole = R"("target_modules": ["encoder.layer.2.attention.self.query"], "layers_to_transform": [1])";
  EXPECT_EQ(load(whole, {"encoder.layer.2.attention.self.query"}).pairs().size(), 1U);
  const std::vector<std::string> all = {one[0], "encoder.layer.0.attention.self.query", "encoder.layer.2.attention.self.query"};
  EXPECT_EQ(load(R"("target_modules": ["query"], "layers_to_transform": [])", all).pairs().size(), 3U);
}

TEST_F(AdapterChoice, OfBlocksNeedsNamesAndNumbers) {
  const auto error = [&](const std::string& settings) { return message_of<FormatError>([&] { load(settings, {}); }); };
  EXPECT_THAT(error(R"("target_modules": ".*query", "layers_to_transform": [1])"), HasSubstr("layers_to_transform"));
  EXPECT_THAT(error(R"("target_modules": ["query"], "layers_pattern": "layer")"), HasSubstr("layers_pattern"));
  EXPECT_THAT(error(R"("target_modules": ["query"], "layers_to_transform": [9])"), HasSubstr("chooses no layer"));
  EXPECT_THAT(error(R"("target_modules": ["query"], "layers_to_transform": [1], "layers_pattern": "(")"), HasSubstr("layers_pattern"));
}

TEST_F(AdapterChoice, LeavesOutWhatIsExcluded) {
  const std::vector<std::string> left = {"encoder.layer.0.attention.self.query", "encoder.layer.2.attention.self.query"};
  for (const char* more : {R"(["encoder.layer.1.attention.self.query"])", R"(["1.attention.self.query"])", R"(".*\\.1\\..*")"}) {
    EXPECT_EQ(paths_of(load(R"("target_modules": ["query"], "exclude_modules": )" + std::string(more), left).pairs()), left) << more;
  }
}

TEST_F(AdapterChoice, RanksAndAlphasMayDifferBetweenLayers) {
  std::map<std::string, Tensor> tensors;
  for (const auto& [path, rank] :
       {std::pair<std::string, int64_t>{"encoder.layer.0.output.dense", 3}, {"encoder.layer.1.output.dense", 2}}) {
    tensors["base_model.model." + path + ".lora_A.weight"] = Tensor::zeros(DType::f32, {rank, 4});
    tensors["base_model.model." + path + ".lora_B.weight"] = Tensor::zeros(DType::f32, {4, rank});
  }
  save_safetensors(folder_.path("adapter_model.safetensors"), tensors);
  folder_.write("adapter_config.json",
                R"({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "exclude_modules": ".*(2.output|attention|pooler).*",
    "target_modules": ["output.dense"], "rank_pattern": {"layer.0.output.dense": 3, "dense": 2},
    "alpha_pattern": {"0.*": 9, "other": 1}})");
  const Adapter adapter = Adapter::load(folder_.path(), layers());
  ASSERT_EQ(adapter.pairs().size(), 2U);
  EXPECT_EQ(adapter.pairs()[0].a.dim(0), 3);
  EXPECT_EQ(adapter.scale(adapter.pairs()[0]), 3.0);
  EXPECT_EQ(adapter.scale(adapter.pairs()[1]), 2.0);
  const TempFolder again;
  adapter.save(again.path("copy"));
  const Adapter back = Adapter::load(again.path("copy"), layers());
  ASSERT_EQ(back.pairs().size(), 2U);
  EXPECT_EQ(back.scale(back.pairs()[0]), 3.0);
  EXPECT_EQ(back.scale(back.pairs()[1]), 2.0);
}

TEST_F(AdapterChoice, APartThatNothingComputesWithIsToldAndKept) {
  const std::vector<std::string> dense = {"encoder.layer.0.attention.output.dense", "encoder.layer.0.output.dense",
                                          "encoder.layer.1.attention.output.dense", "encoder.layer.1.output.dense",
                                          "encoder.layer.2.attention.output.dense", "encoder.layer.2.output.dense"};
  std::vector<std::string> with_pooler = dense;
  with_pooler.emplace_back("pooler.dense");
  const test::Notices notices;
  const Adapter adapter = load(R"("target_modules": ["dense"])", with_pooler);
  EXPECT_EQ(paths_of(adapter.pairs()), dense);
  EXPECT_EQ(paths_of(adapter.unused_pairs()), std::vector<std::string>{"pooler.dense"});
  EXPECT_EQ(adapter.parameters().size(), 12U);
  EXPECT_THAT(notices.told(), ElementsAre(HasSubstr("'pooler.dense' is without effect")));
  const TempFolder again;
  adapter.save(again.path("copy"));
  const Adapter back = Adapter::load(again.path("copy"), layers());
  EXPECT_EQ(paths_of(back.unused_pairs()), std::vector<std::string>{"pooler.dense"});
  EXPECT_THAT(back.config().target_modules, ElementsAre("dense"));
  // An adapter without that part chooses it by accident.
  EXPECT_THAT(load(R"("target_modules": ["dense"])", dense).unused_pairs(), IsEmpty());
}

TEST_F(AdapterChoice, SavedNamesChooseNoLayerThatNothingComputesWith) {
  const Adapter adapter = Adapter::create(layers(), targets({"all-linear"}), 1);
  EXPECT_EQ(adapter.pairs().size(), 9U);
  adapter.save(folder_.path());
  EXPECT_THAT(Adapter::load(folder_.path(), layers()).config().target_modules, ElementsAre("output.dense", "query"));
  EXPECT_THAT(message_of<ValueError>([] { Adapter::create(layers(), targets({"pooler.dense"}), 1); }), HasSubstr("pooler.dense"));
}

}  // namespace
}  // namespace lazuli
