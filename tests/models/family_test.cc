// Checks small models of each architecture against transformers and PEFT: logits, greedy tokens, and LoRA steps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "lazuli/error.h"
#include "lazuli/generate.h"
#include "lazuli/model.h"
#include "lazuli/train.h"
#include "support/cuda_device.h"
#include "support/family_model.h"
#include "support/notices.h"
#include "support/source_folder.h"

namespace lazuli {
namespace {

struct FamilyCase {
  std::string name;
  DeviceKind device;
};

class Families : public testing::TestWithParam<FamilyCase> {
 protected:
  void SetUp() override {
    if (GetParam().device == DeviceKind::cuda) {
      LAZULI_NEEDS_CUDA();
    }
    set_default_device({GetParam().device, 0});
    model_.emplace(GetParam().name);
  }
  void TearDown() override { set_default_device({}); }

  std::vector<float> logits(DType dtype, Quantization quantization = Quantization::none) const {
    const auto model = load_model(model_->folder(), dtype, quantization);
    const std::vector<int32_t> prompt = model_->ids("prompt");
    ForwardContext context;
    context.ids =
        LazyTensor::from_tensor(Tensor::from_vector(prompt, {1, static_cast<int64_t>(prompt.size())}).to(Device{GetParam().device, 0}));
    return model->forward(context).eval().to_vector<float>();
  }
  /// The rows that the file has: all, or those that it names.
  std::vector<float> listed_rows(const std::vector<float>& logits) const {
    if (!model_->expected().find("rows")) return logits;
    const auto size = static_cast<std::ptrdiff_t>(logits.size() / model_->ids("prompt").size());
    std::vector<float> out;
    for (const int32_t row : model_->ids("rows")) out.insert(out.end(), logits.begin() + row * size, logits.begin() + (row + 1) * size);
    return out;
  }
  /// The largest difference as a part of the largest logit.
  double distance(const std::vector<float>& logits) const {
    const std::vector<double> right = model_->numbers("logits");
    const std::vector<float> listed = listed_rows(logits);
    EXPECT_EQ(listed.size(), right.size());
    double largest = 0, off = 0;
    for (size_t k = 0; k < right.size(); ++k) {
      largest = std::max(largest, std::fabs(right[k]));
      off = std::max(off, std::fabs(right[k] - static_cast<double>(listed[k])));
    }
    return off / largest;
  }

  std::optional<test::FamilyModel> model_;
};

TEST_P(Families, LogitsAreThoseOfTransformers) {
  EXPECT_LE(distance(logits(DType::f32)), 1e-5);
  EXPECT_LE(distance(logits(DType::bf16)), 0.1);
  EXPECT_LE(distance(logits(DType::f16)), 0.02);
}

TEST_P(Families, RoundedWeightsGiveLogitsNearby) {
  const test::Notices notices;  // of rows that do not fit 4 bits
  EXPECT_LE(distance(logits(DType::f32, Quantization::int8)), 0.1);
  EXPECT_LE(distance(logits(DType::bf16, Quantization::int8)), 0.15);
  EXPECT_LE(distance(logits(DType::f32, Quantization::int4)), 0.5);
}

TEST_P(Families, GreedyTokensAreThoseOfTransformers) {
  Generator generator(load_model(model_->folder()), Tokenizer::load(source_folder() + "/models/pycoder-16m"));
  const std::vector<int32_t> tokens = model_->ids("tokens");
  GenerateOptions options;
  options.max_tokens = static_cast<int64_t>(tokens.size());
  options.stop_at_eos = false;
  EXPECT_EQ(generator.run(model_->ids("prompt"), options).tokens, tokens);
}

TEST_P(Families, TenStepsOfLoRAAreThoseOfPeft) {
  const auto model = load_model(model_->folder());
  TrainConfig config;
  config.learning_rate = model_->expected().get("learning_rate").as_double();
  config.weight_decay = model_->expected().get("weight_decay").as_double();
  config.max_grad_norm = model_->expected().get("max_grad_norm").as_double();
  Trainer trainer(model, model_->adapter(model->linears()), config, {GetParam().device, 0});
  const std::vector<double> losses = model_->numbers("losses"), norms = model_->numbers("grad_norms");
  for (size_t step = 0; step < losses.size(); ++step) {
    const StepResult result = trainer.step(model_->batch(static_cast<int64_t>(step)));
    EXPECT_NEAR(result.loss / losses[step], 1, 1e-4) << "step " << step;
    EXPECT_NEAR(result.grad_norm / norms[step], 1, 1e-4) << "step " << step;
  }
}

TEST_P(Families, RecomputedLayersChangeNothing) {
  const auto model = load_model(model_->folder());
  TrainConfig config, recomputed;
  recomputed.recomputed_layers = model->info().layers;
  Trainer plain(model, model_->adapter(model->linears()), config, {GetParam().device, 0});
  Trainer saving(model, model_->adapter(model->linears()), recomputed, {GetParam().device, 0});
  for (int64_t step = 0; step < 2; ++step) {
    const StepResult one = plain.step(model_->batch(step)), other = saving.step(model_->batch(step));
    EXPECT_NEAR(other.loss / one.loss, 1, 1e-6) << "step " << step;
    EXPECT_NEAR(other.grad_norm / one.grad_norm, 1, 1e-5) << "step " << step;
  }
}

std::vector<float> logits_of(const test::FamilyModel& model) {
  const std::vector<int32_t> prompt = model.ids("prompt");
  ForwardContext context;
  context.ids = LazyTensor::from_tensor(Tensor::from_vector(prompt, {1, static_cast<int64_t>(prompt.size())}));
  return load_model(model.folder())->forward(context).eval().to_vector<float>();
}

TEST(FamilyConfigs, OlderSpellingsSayTheSame) {
  const struct {
    const char* family;
    std::vector<std::string> without;
    const char* with;
  } cases[] = {
      {"gemma3",
       {"rope_parameters", "layer_types"},
       R"("rope_theta": 5000.0, "rope_local_base_freq": 100.0, "rope_scaling": {"rope_type": "linear", "factor": 2.0},
          "sliding_window_pattern": 2)"},
      {"phi3",
       {"rope_parameters"},
       R"("partial_rotary_factor": 0.75, "rope_scaling": {"type": "su", "short_factor": [1, 1.1, 1.2, 1.3, 1.5, 2],
          "long_factor": [1, 1.5, 2, 3, 5, 8]})"},
      {"smollm3", {"rope_parameters", "layer_types", "no_rope_layers"}, R"("rope_theta": 2000000.0)"},
      {"gemma", {"hidden_act", "rope_parameters"}, R"("hidden_act": "gelu")"},
      {"llama_yarn",
       {"rope_parameters"},
       R"("rope_theta": 10000.0, "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "beta_fast": 4,
          "beta_slow": 0.5})"}};
  for (const auto& c : cases) {
    const test::FamilyModel model(c.family);
    const std::vector<float> before = logits_of(model);
    std::string config(model.expected().get("config").as_string());
    for (const std::string& key : c.without) {
      ASSERT_NE(config.find("\"" + key + "\""), std::string::npos) << c.family << " " << key;
      config.insert(config.find("\"" + key + "\"") + 1, "once_");
    }
    config.insert(config.rfind('}'), std::string(", ") + c.with);
    std::ofstream(model.folder() + "/config.json") << config;
    EXPECT_EQ(logits_of(model), before) << c.family;
  }
}

TEST(FamilyConfigs, Gemma3sRotaryKeysAreOfOneSpelling) {
  const test::FamilyModel model("gemma3");
  const std::string config(model.expected().get("config").as_string());
  const auto error = [&](const std::string& from, const std::string& to) {
    std::string changed = config;
    changed.replace(changed.find(from), from.size(), to);
    std::ofstream(model.folder() + "/config.json") << changed;
    return test::message_of<FormatError>([&] { load_model(model.folder()); });
  };
  EXPECT_THAT(error("\"rope_parameters\"", R"("rope_scaling": {"rope_type": "linear", "factor": 2.0}, "rope_parameters")"),
              testing::HasSubstr("$.rope_scaling: rope_parameters and rope_scaling cannot both be there"));
  EXPECT_THAT(error("\"rope_parameters\": {", R"("rope_parameters": {"rope_type": "default", )"),
              testing::HasSubstr("$.rope_parameters: an object of rotary parameters for each type of layers expected"));
  EXPECT_THAT(error("\"rope_parameters\"", R"("rope_scaling": {"type": "linear", "factor": 2.0}, "_")"),
              testing::HasSubstr("$.rope_scaling.type: rope_type expected"));
}

TEST(FamilyConfigs, Ministral3GrowsByAKeyOfYarn) {
  const test::FamilyModel model("ministral3");
  const std::string config(model.expected().get("config").as_string());
  const auto error = [&](const std::string& from, const std::string& to) {
    std::string changed = config;
    changed.replace(changed.find(from), from.size(), to);
    std::ofstream(model.folder() + "/config.json") << changed;
    return test::message_of<FormatError>([&] { load_model(model.folder()); });
  };
  EXPECT_THAT(error("llama_4_scaling_beta", "once"), testing::HasSubstr("llama_4_scaling_beta"));
  EXPECT_THAT(error("\"yarn\"", "\"linear\""),
              testing::HasSubstr("$.rope_parameters: yarn and its llama_4_scaling_beta expected in ministral3"));
}

TEST(FamilyConfigs, Gemma4sHeadsAreSaidByEitherSpelling) {
  const test::FamilyModel model("gemma4");
  const std::vector<float> before = logits_of(model);
  const std::string config(model.expected().get("config").as_string());
  const auto write = [&](const std::string& per_layer) {
    std::string changed = config;
    changed.insert(changed.find("\"per_layer_config\"") + 1, "once_");
    changed.insert(changed.rfind('}'), per_layer);
    std::ofstream(model.folder() + "/config.json") << changed;
  };
  write(R"(, "global_head_dim": 24, "num_global_key_value_heads": 1)");
  EXPECT_EQ(logits_of(model), before);
  const auto error = [&](const std::string& per_layer) {
    write(per_layer);
    return test::message_of<FormatError>([&] { load_model(model.folder()); });
  };
  const std::string heads = R"({"head_dim": 24, "num_key_value_heads": 1})";
  EXPECT_THAT(error(R"(, "per_layer_config": {"1": )" + heads + "}"), testing::HasSubstr("the same heads in all layers of full_attention"));
  EXPECT_THAT(error(R"(, "per_layer_config": {"0": )" + heads + "}"), testing::HasSubstr("$.per_layer_config.0"));
  EXPECT_THAT(error(R"(, "per_layer_config": {"x": )" + heads + "}"), testing::HasSubstr("the number of a layer expected"));
  EXPECT_THAT(error(R"(, "per_layer_config": {"1": {"num_attention_heads": 2}})"), testing::HasSubstr("num_key_value_heads expected"));
  EXPECT_THAT(error(R"(, "global_head_dim": 24, "num_global_key_value_heads": 3)"), testing::HasSubstr("num_global_key_value_heads"));
  EXPECT_THAT(error(R"(, "enable_moe_block": true, "once": 1)"), testing::HasSubstr("num_experts: a number of experts expected"));
  EXPECT_THAT(error(R"(, "num_kv_shared_layers": 6)"), testing::HasSubstr("num_kv_shared_layers"));
}

std::vector<FamilyCase> family_cases() {
  std::vector<FamilyCase> cases;
  for (const char* name : {"mistral",
                           "ministral",
                           "ministral3",
                           "qwen2",
                           "qwen3",
                           "gemma2",
                           "olmo2",
                           "granite",
                           "smollm3",
                           "starcoder2",
                           "phi3",
                           "phi4",
                           "gemma",
                           "gemma3",
                           "gemma4",
                           "gemma4_plain",
                           "llama_yarn",
                           "qwen3_moe",
                           "mixtral",
                           "gpt_oss",
                           "gemma4_moe",
                           "deepseek_v2",
                           "deepseek_v2_groups",
                           "qwen3_5",
                           "qwen3_5_moe",
                           "qwen3_next"}) {
    for (const DeviceKind device : {DeviceKind::cpu, DeviceKind::cuda, DeviceKind::reference}) cases.push_back({name, device});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, Families, testing::ValuesIn(family_cases()), [](const testing::TestParamInfo<FamilyCase>& c) {
  return c.param.name + "_" + (c.param.device == DeviceKind::cpu ? "cpu" : c.param.device == DeviceKind::cuda ? "cuda" : "reference");
});

}  // namespace
}  // namespace lazuli
