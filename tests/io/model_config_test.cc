// Tests of reading config.json: defaults, both spellings of rotary parameters, and refusals.
#include "io/model_config.h"

#include <gtest/gtest.h>

#include "lazuli/error.h"

namespace lazuli {
namespace {

constexpr const char* kBase = R"("model_type":"llama","hidden_size":64,"intermediate_size":96,"num_hidden_layers":2,
    "num_attention_heads":8,"vocab_size":100,"max_position_embeddings":128)";

ModelConfig with(const std::string& more) {
  return ModelConfig::parse(std::string("{") + kBase + (more.empty() ? "" : ",") + more + "}", "config.json");
}

/// Replaces the value of one key of the base.
ModelConfig replaced(const std::string& from, const std::string& to) {
  std::string text = std::string("{") + kBase + "}";
  const size_t place = text.find(from);
  if (place == std::string::npos) throw std::logic_error(from);
  return ModelConfig::parse(text.replace(place, from.size(), to), "config.json");
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
  const ModelConfig c = ModelConfig::read(LAZULI_SOURCE_DIR "/models/pycoder-16m/config.json");
  EXPECT_EQ(c.model_type, "qwen2");
  EXPECT_EQ(c.architectures, std::vector<std::string>{"Qwen2ForCausalLM"});
  EXPECT_EQ(c.hidden_size, 384);
  EXPECT_EQ(c.num_key_value_heads, 2);
  EXPECT_EQ(c.head_dim, 64);
  EXPECT_EQ(c.rope_theta, 10000.0);
  EXPECT_EQ(c.rope_scaling.kind, RopeScaling::Kind::none);
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
  EXPECT_FALSE(c.bos_token_id);
  EXPECT_TRUE(c.eos_token_ids.empty());
}

TEST(ModelConfig, ReadsRotaryParametersInBothSpellings) {
  const std::string llama3 =
      R"("factor":32.0,"high_freq_factor":4.0,"low_freq_factor":1.0,"original_max_position_embeddings":8192,"rope_type":"llama3")";
  for (const ModelConfig& c : {with("\"rope_theta\":500000.0,\"rope_scaling\":{" + llama3 + "}"),
                               with("\"rope_theta\":1.0,\"rope_parameters\":{\"rope_theta\":500000.0," + llama3 + "}")}) {
    EXPECT_EQ(c.rope_theta, 500000.0);
    EXPECT_EQ(c.rope_scaling.kind, RopeScaling::Kind::llama3);
    EXPECT_EQ(c.rope_scaling.factor, 32.0);
    EXPECT_EQ(c.rope_scaling.original_max_position_embeddings, 8192);
  }
  const ModelConfig linear = with(R"("rope_scaling":{"type":"linear","factor":2})");
  EXPECT_EQ(linear.rope_scaling.kind, RopeScaling::Kind::linear);
  EXPECT_EQ(linear.rope_scaling.factor, 2.0);
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
  EXPECT_EQ(format_error([] { with("\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":2}"); }),
            "config.json: $.rope_scaling.rope_type: rope_type default, linear or llama3 expected, got 'yarn'");
  EXPECT_EQ(format_error([] { with("\"use_sliding_window\":true"); }),
            "config.json: $.use_sliding_window: sliding window attention is not supported");
}

TEST(ModelConfig, RefusesValuesOutOfRange) {
  for (const char* more : {
           "\"num_key_value_heads\":0",
           "\"num_key_value_heads\":-8",
           "\"head_dim\":-1",
           "\"rms_norm_eps\":-1e-6",
           "\"rms_norm_eps\":\"small\"",
           "\"rope_theta\":0",
           "\"eos_token_id\":-1",
           "\"eos_token_id\":[1,-1]",
           "\"bos_token_id\":4294967296",
           "\"dtype\":\"int8\"",
           "\"tie_word_embeddings\":1",
           "\"layer_types\":[\"full_attention\",\"sliding_attention\"]",
           "\"partial_rotary_factor\":0.5",
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
  EXPECT_THROW(ModelConfig::parse("[]", "config.json"), FormatError);
  EXPECT_THROW(ModelConfig::read("/nonexistent/config.json"), IoError);
}

}  // namespace
}  // namespace lazuli
