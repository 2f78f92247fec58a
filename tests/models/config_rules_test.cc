// Checks what each architecture makes of config.json: windows, missing keys, and the tokens that end a text.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lazuli/error.h"
#include "models/registry.h"
#include "support/notices.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

using test::message_of;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ConfigOf : public testing::Test {
 protected:
  ModelConfig read(const std::string& model_type, const std::string& more) const {
    folder_.write("config.json", fmt::format(R"({{"model_type": "{}", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4,
      "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 64, "max_position_embeddings": 128{}{}}})",
                                             model_type, more.empty() ? "" : ", ", more));
    return read_model_config(folder_.path());
  }
  std::string error(const std::string& model_type, const std::string& more) const {
    return message_of<FormatError>([&] { read(model_type, more); });
  }
  test::TempFolder folder_;
};

TEST_F(ConfigOf, Qwen2WithoutALayerThatSlidesIsFullAttention) {
  for (const char* more : {
           R"("sliding_window": 4)",                                                                 // not used
           R"("use_sliding_window": false, "sliding_window": 4, "max_window_layers": 0)",            // not used
           R"("use_sliding_window": true, "sliding_window": 4, "max_window_layers": 4)",             // from the layer after the last
           R"("use_sliding_window": true, "sliding_window": 4)",                                     // from layer 28 on
           R"("use_sliding_window": true, "sliding_window": null, "max_window_layers": 0)",          // no window
           R"("use_sliding_window": true, "sliding_window": 128, "max_window_layers": 0)",           // of the whole context
           R"("use_sliding_window": true, "max_window_layers": 0)",                                  // 4,096, of more than the context
           R"("use_sliding_window": true, "sliding_window": 4, "max_window_layers": 0,
              "layer_types": ["full_attention", "attention", "full_attention", "full_attention"])",  // which comes first
       }) {
    EXPECT_NO_THROW(read("qwen2", more)) << more;
  }
}

TEST_F(ConfigOf, Qwen2HasWindowsInTheLayersThatSlide) {
  const auto windows = [&](const std::string& more) { return read("qwen2", more).windows; };
  EXPECT_THAT(windows(R"("use_sliding_window": true, "sliding_window": 4, "max_window_layers": 3)"), ElementsAre(0, 0, 0, 4));
  EXPECT_THAT(windows(R"("use_sliding_window": true, "sliding_window": 127, "max_window_layers": -1)"), ElementsAre(127, 127, 127, 127));
  EXPECT_THAT(windows(R"("use_sliding_window": true, "sliding_window": 4, "max_window_layers": 9,
    "layer_types": ["full_attention", "sliding_attention", "full_attention", "full_attention"])"),
              ElementsAre(0, 4, 0, 0));
  EXPECT_THAT(error("qwen2", R"("layer_types": ["full_attention", "full_attention", "sliding_attention", "full_attention"])"),
              AllOf(HasSubstr("$.layer_types"), HasSubstr("layer 2 slides without a window")));
  EXPECT_THAT(error("qwen2", R"("layer_types": ["full_attention"])"), HasSubstr("num_hidden_layers = 4"));
  EXPECT_THAT(error("qwen2", R"("layer_types": ["linear_attention"])"), HasSubstr("linear_attention"));
  EXPECT_THAT(error("qwen2", R"("use_sliding_window": null)"), HasSubstr("$.use_sliding_window"));
}

TEST_F(ConfigOf, WindowsOfOtherFamiliesAreThoseOfTheirClasses) {
  EXPECT_THAT(read("mistral", "").windows, ElementsAre(0, 0, 0, 0));  // 4,096, of more than the context
  EXPECT_THAT(read("mistral", R"("sliding_window": 9)").windows, ElementsAre(9, 9, 9, 9));
  EXPECT_THAT(read("mistral", R"("sliding_window": null)").windows, ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(read("gemma2", R"("sliding_window": 9)").windows, ElementsAre(9, 0, 9, 0));
  EXPECT_THAT(
      error("gemma2",
            R"("sliding_window": null, "layer_types": ["sliding_attention", "full_attention", "full_attention", "full_attention"])"),
      HasSubstr("layer 0 slides without a window"));
  EXPECT_THAT(error("mistral", R"("sliding_window": 0)"), HasSubstr("$.sliding_window"));
  EXPECT_THAT(error("llama", R"("sliding_window": 4)"), HasSubstr("$.sliding_window"));
  EXPECT_NO_THROW(read("llama", R"("sliding_window": 128)"));  // as long as the context
}

TEST_F(ConfigOf, Qwen35TurnsAQuarterOfAHeadAndKnowsTwoKindsOfLayers) {
  EXPECT_EQ(read("qwen3_5_text", "").rope.size, 64);
  EXPECT_EQ(read("qwen3_5_text", R"("head_dim": 16)").rope.size, 4);
  EXPECT_EQ(read("qwen3_5_text", R"("head_dim": 16, "partial_rotary_factor": 0.5)").rope.size, 8);
  EXPECT_EQ(read("qwen3_5_text", R"("head_dim": 16, "partial_rotary_factor": null)").rope.size, 16);
  EXPECT_EQ(read("qwen3_5_text", R"("head_dim": 16, "partial_rotary_factor": 0.5, "rope_parameters": {"rope_theta": 9.0,
    "partial_rotary_factor": 1.0})")
                .rope.size,
            16);
  EXPECT_THAT(error("qwen3_5_text", R"("head_dim": 12)"), HasSubstr("an even size of at least 2 expected, got 3 of 12"));
  EXPECT_THAT(read("qwen3_5_text", "").windows, ElementsAre(0, 0, 0, 0));
  EXPECT_NO_THROW(read("qwen3_5_text", R"("layer_types": ["linear_attention", "full_attention", "attention", "linear_attention"])"));
  EXPECT_THAT(error("qwen3_5_text", R"("layer_types": ["linear_attention", "sliding_attention"])"), HasSubstr("$.layer_types[1]"));
  EXPECT_THAT(error("qwen3_5_text", R"("layer_types": ["linear_attention"])"), HasSubstr("num_hidden_layers = 4 entries expected, got 1"));
  EXPECT_THAT(error("qwen3_5_text", R"("full_attention_interval": 0)"), HasSubstr("$.full_attention_interval"));
  EXPECT_THAT(error("qwen3_5_text", R"("sliding_window": 4)"), HasSubstr("$.sliding_window"));
}

TEST_F(ConfigOf, ExpertsOfQwen35AndQwen3NextHaveOneNameForTheirNumber) {
  for (const char* type : {"qwen3_5_moe_text", "qwen3_next"}) {
    EXPECT_NO_THROW(read(type, R"("num_experts": 8)")) << type;
    EXPECT_THAT(error(type, R"("num_local_experts": 8)"), HasSubstr("$.num_local_experts")) << type;
  }
  EXPECT_THAT(error("qwen3_5_text", R"("num_experts": 8)"), HasSubstr("$.num_experts"));
}

TEST_F(ConfigOf, LayersWithAndWithoutPositionsAreThoseOfTheirClasses) {
  const std::string slides = R"("use_sliding_window": true, "sliding_window": 9)";
  EXPECT_THAT(read("smollm3", R"("sliding_window": 9)").windows, ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(read("smollm3", slides).windows, ElementsAre(0, 0, 0, 9));
  EXPECT_THAT(read("smollm3", slides + R"(, "no_rope_layer_interval": 2)").windows, ElementsAre(0, 9, 0, 9));
  EXPECT_THAT(read("smollm3", slides + R"(, "no_rope_layers": [0, 1, 1, 0])").windows, ElementsAre(9, 0, 0, 9));
  EXPECT_THAT(error("smollm3", R"("no_rope_layers": [1, 1])"), HasSubstr("$.no_rope_layers: num_hidden_layers = 4 entries expected"));
  EXPECT_THAT(error("llama", R"("no_rope_layer_interval": 4)"), HasSubstr("$.no_rope_layer_interval"));
}

TEST_F(ConfigOf, WhereAllLayersSlideNoneMayBeNamedThatDoesNot) {
  for (const char* type : {"phi3", "starcoder2", "mistral"}) {
    EXPECT_THAT(read(type, "").windows, ElementsAre(0, 0, 0, 0));
    EXPECT_THAT(read(type, R"("sliding_window": 9)").windows, ElementsAre(9, 9, 9, 9));
    EXPECT_THAT(read(type, R"("sliding_window": 128)").windows, ElementsAre(0, 0, 0, 0));
    EXPECT_THAT(error(type, R"("sliding_window": 9,
      "layer_types": ["sliding_attention", "full_attention", "sliding_attention", "sliding_attention"])"),
                HasSubstr("$.layer_types: the window of 9 in all layers expected"));
  }
}

TEST_F(ConfigOf, MinistralSlidesInTheLayersThatAreNamed) {
  EXPECT_THAT(read("ministral", R"("sliding_window": 9)").windows, ElementsAre(9, 9, 9, 9));
  EXPECT_THAT(read("ministral", R"("sliding_window": 9,
    "layer_types": ["full_attention", "sliding_attention", "full_attention", "full_attention"])")
                  .windows,
              ElementsAre(0, 9, 0, 0));
}

TEST_F(ConfigOf, Gemma3HasOneFullLayerInSix) {
  EXPECT_THAT(read("gemma3_text", R"("sliding_window": 9)").windows, ElementsAre(9, 9, 9, 9));
  EXPECT_THAT(read("gemma3_text", R"("sliding_window": 9, "sliding_window_pattern": 3)").windows, ElementsAre(9, 9, 0, 9));
  // Half of it to either side, and the token itself.
  EXPECT_THAT(read("gemma3_text", R"("sliding_window": 8, "use_bidirectional_attention": true)").windows, ElementsAre(5, 5, 5, 5));
  EXPECT_THAT(error("gemma", R"("use_bidirectional_attention": true)"), HasSubstr("$.use_bidirectional_attention"));
  EXPECT_THAT(error("gemma3_text", R"("attn_logit_softcapping": 50.0)"), HasSubstr("$.attn_logit_softcapping"));
}

TEST_F(ConfigOf, Phi3TurnsAPartOfTheHeadAndTakesItsOriginalContextFromOutside) {
  const std::string factors = R"("short_factor": [1, 1], "long_factor": [1, 2]})";
  const auto rope = [&](const std::string& more) { return read("phi3", more).rope; };
  EXPECT_EQ(rope("").size, 8);
  EXPECT_EQ(rope(R"("partial_rotary_factor": 0.5)").size, 4);
  EXPECT_EQ(rope(R"("rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.75})").size, 6);
  EXPECT_THAT(error("phi3", R"("partial_rotary_factor": 0.4)"), HasSubstr("$.partial_rotary_factor: a part of an even size"));
  for (const char* type : {"longrope", "su", "yarn"}) {
    const std::string scaling = fmt::format(R"("partial_rotary_factor": 0.5, "rope_scaling": {{"type": "{}", )", type) + factors;
    EXPECT_EQ(rope(scaling + R"(, "original_max_position_embeddings": 32)").scaling.factor, 4);
    EXPECT_EQ(rope(scaling).scaling.original_max_position_embeddings, 4096);
  }
}

TEST_F(ConfigOf, KeysThatOtherFamiliesHeedAreRefusedByName) {
  for (const char* key : {"attn_logit_softcapping", "final_logit_softcapping", "query_pre_attn_scalar", "embedding_multiplier",
                          "logits_scaling", "num_local_experts"}) {
    EXPECT_THAT(error("llama", fmt::format(R"("{}": 30)", key)), HasSubstr(fmt::format("$.{}: a key without effect in llama", key)));
    EXPECT_NO_THROW(read("llama", fmt::format(R"("{}": null)", key)));
  }
  EXPECT_THAT(error("qwen2", R"("attention_bias": true)"), HasSubstr("$.attention_bias"));
  EXPECT_NO_THROW(read("qwen3", R"("attention_bias": true)"));
  EXPECT_THAT(error("olmo2", R"("mlp_bias": true)"), HasSubstr("$.mlp_bias"));
}

TEST_F(ConfigOf, OtherArchitecturesHaveNoWindows) {
  for (const char* type : {"llama", "bert", "mpnet"}) {
    EXPECT_NO_THROW(read(type, R"("use_sliding_window": true)")) << type;
    EXPECT_THAT(error(type, R"("layer_types": ["sliding_attention"])"), HasSubstr("$.layer_types[0]")) << type;
  }
}

TEST_F(ConfigOf, MissingKeysAreThoseOfTheArchitecturesClass) {
  const auto sizes = [&](const std::string& type) {
    folder_.write("config.json", fmt::format(R"({{"model_type": "{}"}})", type));
    const ModelConfig c = read_model_config(folder_.path());
    return std::vector<int64_t>{c.vocab_size,          c.hidden_size,         c.intermediate_size,      c.num_hidden_layers,
                                c.num_attention_heads, c.num_key_value_heads, c.max_position_embeddings};
  };
  EXPECT_THAT(sizes("llama"), ElementsAre(32000, 4096, 11008, 32, 32, 32, 2048));
  EXPECT_THAT(sizes("qwen2"), ElementsAre(151936, 4096, 22016, 32, 32, 32, 32768));
  EXPECT_THAT(sizes("olmo2"), ElementsAre(50304, 4096, 11008, 32, 32, 32, 2048));
  EXPECT_THAT(sizes("granite"), ElementsAre(32000, 4096, 11008, 32, 32, 32, 2048));
  EXPECT_THAT(sizes("smollm3"), ElementsAre(128256, 2048, 11008, 36, 16, 4, 32768));
  EXPECT_THAT(sizes("starcoder2"), ElementsAre(49152, 3072, 12288, 30, 24, 2, 4096));
  EXPECT_THAT(sizes("phi3"), ElementsAre(32064, 3072, 8192, 32, 32, 32, 4096));
  EXPECT_THAT(sizes("gemma"), ElementsAre(256000, 3072, 24576, 28, 16, 16, 8192));
  EXPECT_THAT(sizes("gemma3_text"), ElementsAre(262208, 2304, 9216, 26, 8, 4, 131072));
  EXPECT_THAT(sizes("bert"), ElementsAre(30522, 768, 3072, 12, 12, 12, 512));
  EXPECT_THAT(sizes("mpnet"), ElementsAre(30527, 768, 3072, 12, 12, 12, 512));
}

TEST_F(ConfigOf, AMissingRopeBaseIsThatOfTheArchitecturesClass) {
  const std::pair<const char*, double> bases[] = {{"llama", 1e4},   {"mistral", 1e4},       {"mixtral", 1e6},      {"qwen3_moe", 1e4},
                                                  {"smollm3", 2e6}, {"qwen2_vl_text", 1e6}, {"qwen3_vl_text", 5e5}};
  for (const auto& base : bases) EXPECT_EQ(read(base.first, "").rope.theta, base.second) << base.first;
}

TEST_F(ConfigOf, TheGenerationConfigsEndOfTextComesBeforeTheModels) {
  folder_.write("generation_config.json", R"({"eos_token_id": [5, 6]})");
  EXPECT_THAT(read("llama", R"("eos_token_id": 2)").eos_token_ids, ElementsAre(5, 6));
  EXPECT_THAT(read("llama", "").eos_token_ids, ElementsAre(5, 6));
  folder_.write("generation_config.json", R"({"temperature": 0.6})");
  EXPECT_THAT(read("llama", R"("eos_token_id": [2, 3])").eos_token_ids, ElementsAre(2, 3));
  EXPECT_THAT(read("llama", R"("eos_token_id": null)").eos_token_ids, IsEmpty());
  folder_.write("generation_config.json", R"({"eos_token_id": "x"})");
  EXPECT_THAT(error("llama", ""), AllOf(HasSubstr("generation_config.json"), HasSubstr("$.eos_token_id")));
}

TEST_F(ConfigOf, AnArchitectureThatIsNotBuiltInIsNamed) {
  EXPECT_THAT(error("gpt2", ""), AllOf(HasSubstr("'gpt2'"), HasSubstr("llama"), HasSubstr("mpnet")));
}

}  // namespace
}  // namespace lazuli
