// Tests of reading config.json: missing keys and null, both spellings of rotary parameters with their precedence, and refusals.
#include "io/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "lazuli/error.h"
#include "models/registry.h"
#include "support/notices.h"
#include "support/source_folder.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr ConfigRules kRules = {.windows = full_attention_only};

constexpr const char* kBase = R"("model_type":"llama","hidden_size":64,"intermediate_size":96,"num_hidden_layers":2,
    "num_attention_heads":8,"vocab_size":100,"max_position_embeddings":128)";

ModelConfig with(const std::string& more, const ConfigRules& rules = kRules) {
  return ModelConfig::parse(std::string("{") + kBase + (more.empty() ? "" : ",") + more + "}", "config.json", rules);
}

/// Replaces the value of one key of the base.
ModelConfig replaced(const std::string& from, const std::string& to) {
  std::string text = std::string("{") + kBase + "}";
  const size_t place = text.find(from);
  if (place == std::string::npos) throw std::logic_error(from);
  return ModelConfig::parse(text.replace(place, from.size(), to), "config.json", kRules);
}

template <class F>
std::string format_error(F&& call) {
  try {
    call();
  } catch (const FormatError& e) {
    return e.what();
  }
  return "no error";
}

TEST(ModelConfig, ReadsTheShippedModel) {
  const ModelConfig c = read_model_config(source_folder() + "/models/pycoder-16m");
  EXPECT_EQ(c.model_type, "qwen2");
  EXPECT_EQ(c.architectures, std::vector<std::string>{"Qwen2ForCausalLM"});
  EXPECT_EQ(c.hidden_size, 384);
  EXPECT_EQ(c.num_key_value_heads, 2);
  EXPECT_EQ(c.head_dim, 64);
  EXPECT_EQ(c.rope.theta, 10000.0);
  EXPECT_EQ(c.rope.scaling.kind, RopeScaling::Kind::none);
  EXPECT_TRUE(c.tie_word_embeddings);
  EXPECT_EQ(c.eos_token_ids, std::vector<int64_t>{0});
  EXPECT_EQ(c.dtype, DType::bf16);
  EXPECT_EQ(c.json->root().get("max_window_layers").as_int(), 28);
}

TEST(ModelConfig, FillsInDefaults) {
  const ModelConfig c = with("\"rope_scaling\":null,\"head_dim\":null");
  EXPECT_EQ(c.num_key_value_heads, 8);
  EXPECT_EQ(c.head_dim, 8);
  EXPECT_EQ(c.rms_norm_eps, 1e-6);
  EXPECT_EQ(c.hidden_act, "silu");
  EXPECT_FALSE(c.tie_word_embeddings);
  EXPECT_FALSE(c.dtype);
  EXPECT_TRUE(c.eos_token_ids.empty());
}

TEST(ModelConfig, AMissingKeyIsWhatTheArchitecturesClassTakes) {
  const ConfigRules rules = {.windows = full_attention_only,
                             .hidden_size = 16,
                             .intermediate_size = 24,
                             .num_hidden_layers = 3,
                             .num_attention_heads = 4,
                             .num_key_value_heads = 2,
                             .vocab_size = 50,
                             .max_position_embeddings = 32,
                             .hidden_act = "relu"};
  const ModelConfig c = ModelConfig::parse(R"({"model_type": "any"})", "config.json", rules);
  EXPECT_EQ(c.hidden_size, 16);
  EXPECT_EQ(c.intermediate_size, 24);
  EXPECT_EQ(c.num_hidden_layers, 3);
  EXPECT_EQ(c.num_attention_heads, 4);
  EXPECT_EQ(c.num_key_value_heads, 2);
  EXPECT_EQ(c.head_dim, 4);
  EXPECT_EQ(c.vocab_size, 50);
  EXPECT_EQ(c.max_position_embeddings, 32);
  EXPECT_EQ(c.rms_norm_eps, 1e-6);
  EXPECT_EQ(c.rope.theta, 10000.0);
  EXPECT_EQ(c.hidden_act, "relu");
  // null is not missing: as many as attention heads.
  EXPECT_EQ(ModelConfig::parse(R"({"model_type": "any", "num_key_value_heads": null})", "config.json", rules).num_key_value_heads, 4);
  EXPECT_EQ(format_error([&] { ModelConfig::parse(R"({"model_type": "any", "num_attention_heads": 1})", "config.json", rules); }),
            "config.json: $: num_key_value_heads: a divisor of num_attention_heads = 1 expected, got 2, which is what a missing "
            "num_key_value_heads means");
}

TEST(ModelConfig, NullIsNoValueOfAKeyThatMustHaveOne) {
  for (const char* key : {"hidden_act", "rms_norm_eps", "rope_theta", "tie_word_embeddings", "initializer_range"}) {
    EXPECT_THAT(format_error([&] { with(std::string("\"") + key + "\":null"); }), HasSubstr(std::string("$.") + key)) << key;
  }
  for (const char* key : {"vocab_size\":100", "hidden_size\":64", "max_position_embeddings\":128", "num_hidden_layers\":2"}) {
    const std::string from = key;
    EXPECT_THAT(format_error([&] { replaced(from, from.substr(0, from.find(':')) + ":null"); }), HasSubstr("null")) << key;
  }
}

TEST(ModelConfig, AnEncoderHeedsNoKeysOfDecoders) {
  const ConfigRules rules = {.windows = full_attention_only, .hidden_act = "gelu", .decoder = false};
  const ModelConfig c =
      with(R"("num_key_value_heads":3,"head_dim":5,"rope_theta":null,"rms_norm_eps":null,"tie_word_embeddings":null)", rules);
  EXPECT_EQ(c.num_key_value_heads, 8);
  EXPECT_EQ(c.head_dim, 8);
  EXPECT_EQ(c.hidden_act, "gelu");
}

TEST(ModelConfig, ReadsRotaryParametersInBothSpellings) {
  const std::string llama3 =
      R"("factor":32.0,"high_freq_factor":4.0,"low_freq_factor":1.0,"original_max_position_embeddings":8192,"rope_type":"llama3")";
  for (const ModelConfig& c : {with("\"rope_theta\":500000.0,\"rope_scaling\":{" + llama3 + "}"),
                               with("\"rope_theta\":1.0,\"rope_parameters\":{\"rope_theta\":500000.0," + llama3 + "}")}) {
    EXPECT_EQ(c.rope.theta, 500000.0);
    EXPECT_EQ(c.rope.scaling.kind, RopeScaling::Kind::llama3);
    EXPECT_EQ(c.rope.scaling.factor, 32.0);
    EXPECT_EQ(c.rope.scaling.original_max_position_embeddings, 8192);
  }
  const ModelConfig linear = with(R"("rope_scaling":{"type":"linear","factor":2})");
  EXPECT_EQ(linear.rope.scaling.kind, RopeScaling::Kind::linear);
  EXPECT_EQ(linear.rope.scaling.factor, 2.0);
}

TEST(ModelConfig, RopeScalingComesBeforeRopeParametersUnlessItIsEmpty) {
  const std::string parameters = R"("rope_parameters":{"rope_type":"default","rope_theta":500.0})";
  const ModelConfig both = with(parameters + R"(,"rope_scaling":{"type":"linear","factor":2.0})");
  EXPECT_EQ(both.rope.scaling.kind, RopeScaling::Kind::linear);
  EXPECT_EQ(both.rope.theta, 10000.0);  // of the object that is not read
  for (const char* empty : {"null", "{}"}) {
    const ModelConfig c = with(parameters + ",\"rope_scaling\":" + empty);
    EXPECT_EQ(c.rope.scaling.kind, RopeScaling::Kind::none) << empty;
    EXPECT_EQ(c.rope.theta, 500.0) << empty;
  }
}

TEST(ModelConfig, TheInnerRopeThetaAndTypeComeFirst) {
  EXPECT_EQ(with(R"("rope_theta":7.0,"rope_parameters":{"rope_theta":500.0})").rope.theta, 500.0);
  EXPECT_EQ(with(R"("rope_theta":7.0,"rope_parameters":{"rope_type":"default"})").rope.theta, 7.0);
  EXPECT_EQ(with(R"("rope_theta":null,"rope_parameters":{"rope_theta":500.0})").rope.theta, 500.0);
  EXPECT_EQ(with(R"("rope_scaling":{"rope_type":"default","type":"linear","factor":2})").rope.scaling.kind, RopeScaling::Kind::none);
  EXPECT_THAT(format_error([] { with(R"("rope_scaling":{"rope_type":null,"type":"linear","factor":2})"); }), HasSubstr("rope_type"));
}

TEST(ModelConfig, DynamicScalingIsNoneWithinTheContext) {
  EXPECT_EQ(with(R"("rope_scaling":{"type":"dynamic","factor":2.0})").rope.scaling.kind, RopeScaling::Kind::none);
}

TEST(ModelConfig, TheOriginalContextOfLlama3IsTheOutermost) {
  const std::string llama3 = R"("rope_scaling":{"factor":8.0,"high_freq_factor":4.0,"low_freq_factor":1.0,"rope_type":"llama3")";
  EXPECT_EQ(with(llama3 + "}").rope.scaling.original_max_position_embeddings, 128);
  const std::string inner = llama3 + R"(,"original_max_position_embeddings":64})";
  EXPECT_EQ(with(inner).rope.scaling.original_max_position_embeddings, 64);
  EXPECT_EQ(with(inner + R"(,"original_max_position_embeddings":32)").rope.scaling.original_max_position_embeddings, 32);
}

TEST(ModelConfig, YarnsFactorOfScoresFollowsFromItsOtherKeys) {
  const auto scaling = [](const std::string& more) {
    return with(R"("rope_scaling":{"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":32)" + more + "}").rope.scaling;
  };
  EXPECT_EQ(scaling("").kind, RopeScaling::Kind::yarn);
  EXPECT_EQ(scaling("").original_max_position_embeddings, 32);
  EXPECT_DOUBLE_EQ(scaling("").attention_factor, 1.138629436111989);
  EXPECT_DOUBLE_EQ(scaling(R"(,"attention_factor":1.5,"mscale":0.7,"mscale_all_dim":1.3)").attention_factor, 1.5);
  EXPECT_DOUBLE_EQ(scaling(R"(,"mscale":1.0,"mscale_all_dim":0)").attention_factor, 1.138629436111989);
  EXPECT_DOUBLE_EQ(scaling(R"(,"mscale":1.0,"mscale_all_dim":1.0)").attention_factor, 1);
  EXPECT_EQ(scaling(R"(,"beta_fast":null,"beta_slow":0)").beta_fast, 32);
  EXPECT_EQ(scaling(R"(,"beta_fast":20,"beta_slow":2)").beta_slow, 2);
  EXPECT_FALSE(scaling(R"(,"truncate":false)").truncate);
  // null is as many times as the context is longer than the original one.
  EXPECT_EQ(with(R"("rope_scaling":{"type":"yarn","factor":null,"original_max_position_embeddings":64})").rope.scaling.factor, 2);
  EXPECT_THAT(format_error([] { with(R"("rope_scaling":{"type":"yarn"})"); }), HasSubstr("'factor' expected"));
}

TEST(ModelConfig, LongropeNeedsAFactorForEachPair) {
  const auto longrope = [](const std::string& more) {
    return R"("rope_scaling":{"type":"longrope","original_max_position_embeddings":64,"short_factor":[1,1,1,1.5],"long_factor":)" + more +
           "}";
  };
  const RopeScaling s = with(longrope("[1,2,3,4.5]")).rope.scaling;
  EXPECT_EQ(s.kind, RopeScaling::Kind::longrope);
  EXPECT_THAT(s.long_factors, ElementsAre(1, 2, 3, 4.5));
  EXPECT_EQ(s.factor, 2);
  EXPECT_DOUBLE_EQ(s.attention_factor, std::sqrt(1 + std::log(2.0) / std::log(64.0)));
  EXPECT_EQ(with(longrope(R"([1,2,3,4],"factor":1.0)")).rope.scaling.attention_factor, 1);
  EXPECT_EQ(with(longrope(R"([1,2,3,4],"attention_factor":1.25)")).rope.scaling.attention_factor, 1.25);
  EXPECT_THAT(format_error([&] { with(longrope("[1,2,3]")); }), HasSubstr("$.rope_scaling.long_factor: 4 numbers expected"));
  EXPECT_THAT(format_error([&] { with(longrope("[1,2,3,0]")); }), HasSubstr("$.rope_scaling.long_factor[3]"));
}

TEST(ModelConfig, APartOfTheHeadCountsOnlyWhereFrequenciesAreStretched) {
  EXPECT_EQ(with("\"partial_rotary_factor\":0.5").rope.scaling.kind, RopeScaling::Kind::none);
  EXPECT_THAT(format_error([] { with(R"("partial_rotary_factor":0.5,"rope_scaling":{"type":"linear","factor":2})"); }),
              HasSubstr("$.partial_rotary_factor"));
}

TEST(ModelConfig, IdsOutsideTheVocabularyEndNoText) {
  const test::Notices notices;
  EXPECT_THAT(with("\"eos_token_id\":-1,\"bos_token_id\":-1,\"pad_token_id\":-1").eos_token_ids, IsEmpty());
  EXPECT_THAT(with("\"eos_token_id\":[5,100,-1]").eos_token_ids, ElementsAre(5));
  EXPECT_THAT(with("\"eos_token_id\":null").eos_token_ids, IsEmpty());
  EXPECT_THAT(notices.told(),
              ElementsAre(HasSubstr("$.eos_token_id: -1"), HasSubstr("$.eos_token_id[1]: 100"), HasSubstr("$.eos_token_id[2]: -1")));
}

TEST(ModelConfig, WhatNoArchitectureHereFollowsIsRefusedByName) {
  for (const char* more :
       {"\"quantization_config\":{\"quant_method\":\"gptq\"}", "\"quantization_config\":{}", "\"quantization\":{\"bits\":4}",
        "\"per_layer_config\":{\"0\":{\"head_dim\":8}}", "\"transformers_weights\":\"other.safetensors\"", "\"is_encoder_decoder\":true",
        "\"add_cross_attention\":true", "\"pruned_heads\":{\"0\":[1]}"}) {
    const std::string key(more + 1, std::string_view(more).find('"', 1) - 1);
    EXPECT_THAT(format_error([&] { with(more); }), HasSubstr("$." + key)) << more;
  }
  for (const char* more : {"\"quantization_config\":null", "\"per_layer_config\":{}", "\"is_encoder_decoder\":false", "\"pruned_heads\":{}",
                           "\"pretraining_tp\":2", "\"use_cache\":false", "\"attention_dropout\":0.5",
                           "\"auto_map\":{\"AutoModel\":\"x.Y\"}", "\"sliding_window\":null"}) {
    EXPECT_NO_THROW(with(more)) << more;
  }
}

TEST(ModelConfig, ReadsListsAndBothNamesOfTheDType) {
  EXPECT_EQ(with("\"eos_token_id\":[3,5]").eos_token_ids, (std::vector<int64_t>{3, 5}));
  EXPECT_EQ(with("\"torch_dtype\":\"float16\"").dtype, DType::f16);
  EXPECT_EQ(with("\"torch_dtype\":\"float16\",\"dtype\":\"float32\"").dtype, DType::f32);
}

TEST(ModelConfig, RefusalsNameTheFileAndTheKey) {
  EXPECT_EQ(format_error([] { replaced("\"num_attention_heads\":8", "\"num_attention_heads\":0"); }),
            "config.json: $.num_attention_heads: a number from 1 to 65536 expected, got 0");
  EXPECT_EQ(format_error([] { replaced("\"hidden_size\":64", "\"hidden_size\":63"); }),
            "config.json: $.hidden_size: a multiple of num_attention_heads = 8 expected, got 63");
  EXPECT_EQ(format_error([] { replaced("\"vocab_size\":100", "\"vocab_size\":2147483648"); }),
            "config.json: $.vocab_size: a number from 1 to 2147483647 expected, got 2147483648");
  EXPECT_EQ(format_error([] { replaced("\"vocab_size\":100", "\"vocab\":1"); }), "config.json: $: key 'vocab_size' expected");
  EXPECT_EQ(format_error([] { with("\"num_key_value_heads\":3"); }),
            "config.json: $.num_key_value_heads: a divisor of num_attention_heads = 8 expected, got 3");
  EXPECT_EQ(format_error([] { with("\"rope_scaling\":{\"rope_type\":\"su\",\"factor\":2}"); }),
            "config.json: $.rope_scaling.rope_type: rope_type default, linear, llama3, dynamic, yarn, longrope or proportional expected, "
            "got 'su'");
}

TEST(ModelConfig, RefusesValuesOutOfRange) {
  for (const char* more : {
           "\"num_key_value_heads\":0",
           "\"num_key_value_heads\":-8",
           "\"head_dim\":-1",
           "\"rms_norm_eps\":-1e-6",
           "\"rms_norm_eps\":\"small\"",
           "\"rope_theta\":0",
           "\"eos_token_id\":\"</s>\"",
           "\"eos_token_id\":[1.5]",
           "\"dtype\":\"int8\"",
           "\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":null}",
           "\"rope_parameters\":{\"rope_theta\":null}",
           "\"tie_word_embeddings\":1",
           "\"layer_types\":[\"full_attention\",\"sliding_attention\"]",
           "\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"default\"}}",
           "\"rope_scaling\":{\"rope_type\":\"linear\"}",
           "\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":0}",
           "\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":4,\"high_freq_factor\":1,"
           "\"original_max_position_embeddings\":8192}",
           "\"rope_scaling\":[]",
       }) {
    EXPECT_THROW(with(more), FormatError) << more;
  }
  EXPECT_THROW(replaced("\"hidden_size\":64", "\"hidden_size\":64.0"), FormatError);
  EXPECT_THROW(replaced("\"model_type\":\"llama\"", "\"model_type\":null"), FormatError);
  EXPECT_THROW(ModelConfig::parse("[]", "config.json", kRules), FormatError);
}

}  // namespace
}  // namespace lazuli
