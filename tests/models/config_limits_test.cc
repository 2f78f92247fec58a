// Checks the range of every number of config.json: what is at a limit is taken, what is beyond it is refused by name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "io/model_config.h"
#include "lazuli/error.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

using test::message_of;
using testing::EndsWith;
using testing::HasSubstr;

constexpr ConfigRules kRules = {.windows = full_attention_only};

/// A configuration in which the keys of `changes`, in the form `"key": value`, stand behind the others and so count.
ModelConfig with(const std::string& changes) {
  return ModelConfig::parse(R"({"model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
    "num_attention_heads": 8, "num_key_value_heads": 1, "vocab_size": 100, "max_position_embeddings": 128, )" +
                                changes + "}",
                            "config.json", kRules);
}
std::string error(const std::string& changes) {
  return message_of<FormatError>([&] { with(changes); });
}

TEST(ConfigLimits, WholeNumbersReachTheirLimits) {
  struct Limits {
    const char* key;
    int64_t low, high;
    int64_t ModelConfig::*member;
    std::string beside = {};
  };
  const std::string fits = R"("head_dim": 4, )";
  const std::vector<Limits> all = {
      {"hidden_size", 1, 16777216, &ModelConfig::hidden_size, fits},
      {"intermediate_size", 1, 16777216, &ModelConfig::intermediate_size},
      {"num_hidden_layers", 1, 65536, &ModelConfig::num_hidden_layers},
      {"num_attention_heads", 1, 65536, &ModelConfig::num_attention_heads, fits},
      {"head_dim", 1, 65536, &ModelConfig::head_dim},
      {"vocab_size", 1, 2147483647, &ModelConfig::vocab_size},
      {"max_position_embeddings", 1, 2147483647, &ModelConfig::max_position_embeddings},
  };
  for (const Limits& l : all) {
    const auto set = [&](int64_t value) { return l.beside + "\"" + l.key + "\": " + std::to_string(value); };
    for (const int64_t value : {l.low, l.high}) EXPECT_EQ(with(set(value)).*l.member, value) << l.key;
    for (const int64_t value : {l.low - 1, l.high + 1}) {
      EXPECT_EQ(error(set(value)), "config.json: $." + std::string(l.key) + ": a number from " + std::to_string(l.low) + " to " +
                                       std::to_string(l.high) + " expected, got " + std::to_string(value));
    }
  }
  EXPECT_EQ(error("\"num_key_value_heads\": 0"), "config.json: $.num_key_value_heads: a number from 1 to 65536 expected, got 0");
  EXPECT_EQ(error("\"num_key_value_heads\": 65537"), "config.json: $.num_key_value_heads: a number from 1 to 65536 expected, got 65537");
  EXPECT_EQ(with("\"num_key_value_heads\": 8").num_key_value_heads, 8);
  EXPECT_EQ(with("\"num_key_value_heads\": null").num_key_value_heads, 8);
}

TEST(ConfigLimits, NumbersReachTheirLimits) {
  for (const char* eps : {"0", "1", "1e-12"}) EXPECT_EQ(with(std::string("\"rms_norm_eps\": ") + eps).rms_norm_eps, std::stod(eps));
  for (const char* eps : {"-1e-12", "1.0001"})
    EXPECT_THAT(error(std::string("\"rms_norm_eps\": ") + eps), HasSubstr("a number from 0 to 1 "));
  for (const char* theta : {"1", "1e12"}) EXPECT_EQ(with(std::string("\"rope_theta\": ") + theta).rope.theta, std::stod(theta));
  for (const char* theta : {"0.999", "1.001e12"}) {
    EXPECT_THAT(error(std::string("\"rope_theta\": ") + theta), HasSubstr("$.rope_theta: a number from 1 to 1000000000000 expected"));
  }
  for (const char* range : {"0", "1e6"}) {
    EXPECT_EQ(with(std::string("\"initializer_range\": ") + range).initializer_range, std::stod(range));
  }
  for (const char* range : {"-1", "1.1e6"})
    EXPECT_THAT(error(std::string("\"initializer_range\": ") + range), HasSubstr("$.initializer_range"));
}

TEST(ConfigLimits, FactorsOfRotaryEmbeddingsReachTheirLimits) {
  const auto linear = [](const std::string& factor) { return R"("rope_scaling": {"rope_type": "linear", "factor": )" + factor + "}"; };
  for (const char* factor : {"1e-6", "1e6"}) EXPECT_EQ(with(linear(factor)).rope.scaling.factor, std::stod(factor));
  for (const char* factor : {"9e-7", "1.1e6", "-2"}) EXPECT_THAT(error(linear(factor)), HasSubstr("$.rope_scaling.factor: a number from "));
  const auto llama3 = [](const std::string& low, const std::string& high, const std::string& original) {
    return R"("rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": )" + low + R"(, "high_freq_factor": )" + high +
           R"(, "original_max_position_embeddings": )" + original + "}";
  };
  for (const char* original : {"1", "2147483647"}) {
    EXPECT_EQ(with(llama3("1", "4", original)).rope.scaling.original_max_position_embeddings, std::stoll(original));
  }
  for (const char* original : {"0", "2147483648"}) {
    EXPECT_THAT(error(llama3("1", "4", original)), HasSubstr("original_max_position_embeddings: a number from 1 to 2147483647"));
  }
  EXPECT_EQ(with(llama3("1e-6", "1e6", "64")).rope.scaling.high_freq_factor, 1e6);
  EXPECT_THAT(error(llama3("9e-7", "4", "64")), HasSubstr("$.rope_scaling.low_freq_factor: a number from "));
  EXPECT_THAT(error(llama3("1", "1.1e6", "64")), HasSubstr("$.rope_scaling.high_freq_factor: a number from "));
  EXPECT_THAT(error(llama3("4", "4", "64")), EndsWith("$.rope_scaling.high_freq_factor: more than low_freq_factor = 4 expected, got 4"));
  EXPECT_THAT(error(R"("partial_rotary_factor": 0.5, "rope_scaling": {"rope_type": "linear", "factor": 2})"),
              EndsWith("rotary embeddings of a part of the head are not supported"));
  EXPECT_NO_THROW(
      with(R"("partial_rotary_factor": 0.5, "rope_scaling": {"rope_type": "linear", "factor": 2, "partial_rotary_factor": 1})"));
}

TEST(ConfigLimits, IdsReachTheVocabularysEnds) {
  EXPECT_EQ(with("\"eos_token_id\": [0, 99]").eos_token_ids, (std::vector<int64_t>{0, 99}));
  EXPECT_EQ(with("\"eos_token_id\": 99").eos_token_ids, (std::vector<int64_t>{99}));
  EXPECT_TRUE(with("\"eos_token_id\": 100").eos_token_ids.empty());
}

TEST(ConfigLimits, EveryDTypeHasItsName) {
  for (const auto& [name, dtype] :
       {std::pair("float32", DType::f32), {"bfloat16", DType::bf16}, {"float16", DType::f16}, {"float64", DType::f64}}) {
    EXPECT_EQ(with(std::string("\"dtype\": \"") + name + "\"").dtype, dtype);
    EXPECT_EQ(with(std::string("\"torch_dtype\": \"") + name + "\"").dtype, dtype);
  }
  EXPECT_THAT(error("\"dtype\": \"int8\""), EndsWith("$.dtype: float32, bfloat16, float16 or float64 expected, got 'int8'"));
  EXPECT_THAT(error("\"torch_dtype\": \"auto\""), HasSubstr("$.torch_dtype"));
}

}  // namespace
}  // namespace lazuli
