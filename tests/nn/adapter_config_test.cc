// Checks adapter_config.json setting by setting: what is read, what is refused by its name, and the numbers that are written.
#include "nn/adapter_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/json.h"
#include "lazuli/error.h"
#include "support/notices.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

using test::message_of;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;

class AdapterConfig : public testing::Test {
 protected:
  LoRAConfig read_whole(const std::string& text) const {
    folder_.write("adapter_config.json", text);
    return read_adapter_config(folder_.path("adapter_config.json"));
  }
  LoRAConfig read(const std::string& more) const {
    return read_whole(R"({"peft_type": "LORA", "target_modules": ["q_proj"])" + (more.empty() ? "" : ", " + more) + "}");
  }
  std::string error(const std::string& more) const {
    return message_of<FormatError>([&] { read(more); });
  }
  test::TempFolder folder_;
};

TEST_F(AdapterConfig, SettingsThatChangeWhatIsComputedAreRefusedUnlessTheySayNothing) {
  const test::Notices notices;
  for (const std::string key : {"use_dora", "lora_bias", "use_qalora", "modules_to_save", "layer_replication", "megatron_config",
                                "target_parameters", "trainable_token_indices", "alora_invocation_tokens", "use_bdlora", "arrow_config",
                                "kasa_config", "velora_config", "monteclora_config", "ensure_weight_tying"}) {
    for (const char* value : {"true", "1", "\"x\"", "[0]", "{\"a\": null}", "0"}) {
      EXPECT_THAT(error("\"" + key + "\": " + value), EndsWith("$." + key + ": '" + key + "' is not supported in LoRA adapters")) << value;
    }
    for (const char* value : {"null", "false", "\"\"", "[]", "{}"}) EXPECT_NO_THROW(read("\"" + key + "\": " + value)) << key << value;
  }
  EXPECT_THAT(notices.told(), IsEmpty());
}

TEST_F(AdapterConfig, SettingsOfOriginAndTrainingAreKnownAndOthersTold) {
  const test::Notices notices;
  for (const std::string key : {"auto_mapping", "revision", "inference_mode", "fan_in_fan_out", "megatron_core", "qalora_group_size",
                                "loftq_config", "eva_config", "corda_config", "lora_ga_config", "runtime_config", "peft_version"}) {
    EXPECT_NO_THROW(read("\"" + key + "\": {\"a\": 1}")) << key;
  }
  EXPECT_THAT(notices.told(), IsEmpty());
  read(R"("later_rule": 0, "empty_rule": [], "false_rule": false)");
  EXPECT_THAT(notices.told(), ElementsAre(HasSubstr("adapter_config.json: 'later_rule' is not a known setting")));
}

TEST_F(AdapterConfig, MethodTaskAndBiasAreThoseOfLora) {
  EXPECT_THAT(message_of<FormatError>([&] { read_whole(R"({"target_modules": ["q"]})"); }), EndsWith("key 'peft_type' expected"));
  EXPECT_THAT(message_of<FormatError>([&] { read_whole(R"({"peft_type": null, "target_modules": ["q"]})"); }), HasSubstr("$.peft_type"));
  EXPECT_THAT(message_of<FormatError>([&] { read_whole(R"({"peft_type": "IA3", "target_modules": ["q"]})"); }),
              EndsWith("$.peft_type: 'LORA' expected, got 'IA3'"));
  EXPECT_THAT(error(R"("task_type": "TOKEN_CLS")"), EndsWith("$.task_type: 'CAUSAL_LM' expected, got 'TOKEN_CLS'"));
  EXPECT_THAT(error(R"("task_type": "SEQ_CLS")"),
              EndsWith("$.task_type: an adapter of a classification head, which classify, rerank and finetune take alone"));
  EXPECT_EQ(read(R"("task_type": "FEATURE_EXTRACTION")").task_type, "FEATURE_EXTRACTION");
  for (const char* more : {"", R"("task_type": null)", R"("task_type": "CAUSAL_LM")"}) EXPECT_EQ(read(more).task_type, "CAUSAL_LM");
  EXPECT_THAT(error(R"("bias": "lora_only")"), EndsWith("$.bias: 'none' expected, got 'lora_only'"));
  for (const char* more : {R"("bias": null)", R"("bias": "none")"}) EXPECT_NO_THROW(read(more)) << more;
}

TEST_F(AdapterConfig, StartsThatLeaveTheModelAsItIsAreTaken) {
  for (const char* start : {"null", "true", "false", "\"gaussian\"", "\"Gaussian\"", "\"orthogonal\"", "\"eva\""}) {
    EXPECT_NO_THROW(read(std::string("\"init_lora_weights\": ") + start)) << start;
  }
  for (const char* start : {"pissa", "olora", "corda", "loftq", "GAUSSIAN"}) {
    EXPECT_THAT(error(std::string("\"init_lora_weights\": \"") + start + "\""),
                HasSubstr(std::string("true, false, 'gaussian', 'orthogonal' or 'eva' expected, got '") + start + "'"));
  }
  EXPECT_THAT(error("\"init_lora_weights\": 1"), HasSubstr("$.init_lora_weights: a string expected"));
}

TEST_F(AdapterConfig, NumbersHaveRanges) {
  EXPECT_EQ(read("").rank, 8);
  EXPECT_EQ(read("").alpha, 8);
  EXPECT_EQ(read("").dropout, 0);
  for (const int64_t rank : {1, 65536}) EXPECT_EQ(read("\"r\": " + std::to_string(rank)).rank, rank);
  for (const int64_t rank : {0, -1, 65537}) {
    const std::string got = "a rank from 1 to 65536 expected, got " + std::to_string(rank);
    EXPECT_THAT(error("\"r\": " + std::to_string(rank)), EndsWith("$.r: " + got));
    EXPECT_THAT(error("\"rank_pattern\": {\"a\": 4, \"b\": " + std::to_string(rank) + "}"), EndsWith("$.rank_pattern.b: " + got));
  }
  EXPECT_THAT(error("\"r\": null"), HasSubstr("$.r: an integer"));
  for (const char* alpha : {"0", "0.5", "1e9"}) EXPECT_EQ(read(std::string("\"lora_alpha\": ") + alpha).alpha, std::stod(alpha));
  for (const char* alpha : {"-0.5", "1000000001"}) {
    EXPECT_THAT(error(std::string("\"lora_alpha\": ") + alpha), HasSubstr("$.lora_alpha: a number from 0 to 1000000000 expected, got "));
    EXPECT_THAT(error(std::string("\"alpha_pattern\": {\"a\": ") + alpha + "}"), HasSubstr("$.alpha_pattern.a: a number from 0 to"));
  }
  for (const char* dropout : {"0", "0.999"}) EXPECT_EQ(read(std::string("\"lora_dropout\": ") + dropout).dropout, std::stod(dropout));
  for (const char* dropout : {"-0.001", "0.9991", "1"}) {
    EXPECT_THAT(error(std::string("\"lora_dropout\": ") + dropout), HasSubstr("$.lora_dropout: a number from 0 to 0.999 expected, got "));
  }
  EXPECT_EQ(read("\"lora_dropout\": null").dropout, 0);
}

TEST_F(AdapterConfig, TargetsAreNamesOrAnExpression) {
  const auto target = [&](const std::string& value) { return read_whole(R"({"peft_type": "LORA", "target_modules": )" + value + "}"); };
  for (const char* all : {"\"all-linear\"", "\"ALL-Linear\""}) {
    EXPECT_THAT(target(all).target_modules, ElementsAre("all-linear"));
    EXPECT_EQ(target(all).target_pattern, "");
  }
  EXPECT_EQ(target("\"all-linear.\"").target_pattern, "all-linear.");
  EXPECT_EQ(target("\"all-linea\"").target_pattern, "all-linea");
  EXPECT_THAT(target("\"a.*\"").target_modules, IsEmpty());
  EXPECT_THAT(target("[\"a\", \"b\"]").target_modules, ElementsAre("a", "b"));
  const auto target_error = [&](const std::string& value) { return message_of<FormatError>([&] { target(value); }); };
  EXPECT_THAT(target_error("\"\""), EndsWith("$.target_modules: names of modules or an expression expected"));
  EXPECT_THAT(target_error("[]"), EndsWith("$.target_modules: at least one module expected"));
  EXPECT_THAT(target_error("[\"a\", \"all-linear\"]"), EndsWith("$.target_modules: 'all-linear' expected as a text and not in a list"));
  EXPECT_THAT(target_error("[\"a\", 1]"), HasSubstr("$.target_modules[1]: a string expected"));
}

TEST_F(AdapterConfig, ExclusionsAndBlocksAreRead) {
  EXPECT_EQ(read(R"("exclude_modules": "a.*")").exclude_pattern, "a.*");
  EXPECT_THAT(read(R"("exclude_modules": ["a", "b"])").exclude_modules, ElementsAre("a", "b"));
  for (const char* none : {"null", "\"\"", "[]"}) {
    const LoRAConfig config = read(std::string("\"exclude_modules\": ") + none);
    EXPECT_EQ(config.exclude_pattern, "");
    EXPECT_THAT(config.exclude_modules, IsEmpty());
  }
  EXPECT_THAT(read(R"("layers_to_transform": [0, 3], "layers_pattern": "h")").layers_to_transform, ElementsAre(0, 3));
  EXPECT_THAT(read(R"("layers_to_transform": 2, "layers_pattern": ["h", "layer"])").layers_pattern, ElementsAre("h", "layer"));
  EXPECT_THAT(read(R"("layers_to_transform": 0)").layers_to_transform, ElementsAre(0));
  for (const char* blocks : {"-1", "[2, -1]"}) {
    EXPECT_THAT(error(std::string("\"layers_to_transform\": ") + blocks), EndsWith("a number from 0 on expected, got -1"));
  }
  EXPECT_THAT(error(R"("layers_pattern": "h")"), EndsWith("$.layers_pattern: layers_to_transform expected beside it"));
  EXPECT_THAT(error(R"("layers_to_transform": null, "layers_pattern": ["h"])"), EndsWith("layers_to_transform expected beside it"));
  EXPECT_NO_THROW(read(R"("layers_pattern": "")"));
  EXPECT_THAT(message_of<FormatError>([&] { read_whole(R"({"peft_type": "LORA", "target_modules": "q.*", "layers_to_transform": 1})"); }),
              EndsWith("$.layers_to_transform: a list of target_modules expected beside it"));
}

TEST_F(AdapterConfig, WholeNumbersAreWrittenAsSuchAndOthersAsTheyAre) {
  const auto written = [](double alpha) {
    LoRAConfig config;
    config.alpha = alpha;
    const std::vector<Adapter::Pair> pairs = {{0, "a", Tensor::zeros(DType::f32, {8, 2}), Tensor::zeros(DType::f32, {2, 8}), alpha},
                                              {1, "b", Tensor::zeros(DType::f32, {4, 2}), Tensor::zeros(DType::f32, {2, 4}), 2.5}};
    return write_adapter_config(config, {"a", "b"}, pairs);
  };
  EXPECT_THAT(written(16), HasSubstr("\"lora_alpha\": 16,"));
  EXPECT_THAT(written(0.5), HasSubstr("\"lora_alpha\": 0.5,"));
  EXPECT_THAT(written(16), HasSubstr("\"rank_pattern\": {\n    \"b\": 4\n  }"));
  EXPECT_THAT(written(16), HasSubstr("\"alpha_pattern\": {\n    \"b\": 2.5\n  }"));
}

}  // namespace
}  // namespace lazuli
