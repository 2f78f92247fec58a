// Checks how the weights of experts are read: stacked, one by one, and in blocks of four bits.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>

#include "lazuli/error.h"
#include "lazuli/model.h"
#include "lazuli/safetensors.h"
#include "support/family_model.h"
#include "support/notices.h"
#include "tensor/quant_table.h"

namespace lazuli {
namespace {

using Tensors = std::map<std::string, Tensor>;

std::vector<float> logits_of_folder(const test::FamilyModel& model) {
  const std::vector<int32_t> prompt = model.ids("prompt");
  ForwardContext context;
  context.ids = LazyTensor::from_tensor(Tensor::from_vector(prompt, {1, static_cast<int64_t>(prompt.size())}));
  return load_model(model.folder())->forward(context).eval().to_vector<float>();
}

Tensors tensors_of(const test::FamilyModel& model) {
  const SafetensorsFile file = SafetensorsFile::open(model.folder() + "/model.safetensors");
  Tensors all;
  for (const std::string& name : file.names()) all[name] = Tensor::from_vector(file.tensor(name).to_vector<float>(), file.info(name).shape);
  return all;
}

void write_tensors(const test::FamilyModel& model, const Tensors& all) { save_safetensors(model.folder() + "/model.safetensors", all); }

/// Rows [first, first + count) of matrix `expert`.
Tensor rows_of_expert(const Tensor& stacked, int64_t expert, int64_t first, int64_t count) {
  const std::vector<float> all = stacked.to_vector<float>();
  const auto from = all.begin() + static_cast<std::ptrdiff_t>((expert * stacked.dim(1) + first) * stacked.dim(2));
  return Tensor::from_vector(std::vector<float>(from, from + static_cast<std::ptrdiff_t>(count * stacked.dim(2))), {count, stacked.dim(2)});
}

/// The tensors with each expert's layers under names of their own.
Tensors one_by_one(const Tensors& stacked, const std::string& part, const char* gate, const char* up, const char* down) {
  Tensors all;
  for (const auto& [name, tensor] : stacked) {
    const std::string base = name.substr(0, name.find(".mlp.") + 1) + part;
    if (name.ends_with("mlp.gate.weight")) {
      all[base + ".gate.weight"] = tensor;
    } else if (name.find(".experts.") == std::string::npos) {
      all[name] = tensor;
    } else {
      for (int64_t k = 0; k < tensor.dim(0); ++k) {
        const std::string own = fmt::format("{}.experts.{}.", base, k);
        const bool is_down = name.ends_with("down_proj");
        const int64_t inner = tensor.dim(1) / 2;
        if (is_down) {
          all[own + down + ".weight"] = rows_of_expert(tensor, k, 0, tensor.dim(1));
        } else {
          all[own + gate + ".weight"] = rows_of_expert(tensor, k, 0, inner);
          all[own + up + ".weight"] = rows_of_expert(tensor, k, inner, inner);
        }
      }
    }
  }
  return all;
}

TEST(ExpertWeights, OneByOneTheyAreWhatStackedOnesAre) {
  {
    const test::FamilyModel model("qwen3_moe");
    const std::vector<float> before = logits_of_folder(model);
    write_tensors(model, one_by_one(tensors_of(model), "mlp", "gate_proj", "up_proj", "down_proj"));
    EXPECT_EQ(logits_of_folder(model), before);
  }
  {
    const test::FamilyModel model("deepseek_v2");
    const std::vector<float> before = logits_of_folder(model);
    write_tensors(model, one_by_one(tensors_of(model), "mlp", "gate_proj", "up_proj", "down_proj"));
    EXPECT_EQ(logits_of_folder(model), before);
  }
  for (const char* part : {"mlp", "block_sparse_moe"}) {
    const test::FamilyModel model("mixtral");
    const std::vector<float> before = logits_of_folder(model);
    write_tensors(model, one_by_one(tensors_of(model), part, "w1", "w3", "w2"));
    EXPECT_EQ(logits_of_folder(model), before) << part;
  }
}

/// Codes and powers of two for a matrix that the file of floats has transposed, and its numbers.
void add_blocks(Tensors& floats, Tensors& blocks, const std::string& name, const Shape& transposed) {
  const int64_t experts = transposed[0], columns = transposed[1], rows = transposed[2];
  std::vector<uint8_t> codes, scales;
  std::vector<float> numbers(static_cast<size_t>(transposed.numel()));
  for (int64_t at = 0; at < experts * rows * columns / 2; ++at) {
    if (at % 16 == 0) scales.push_back(static_cast<uint8_t>(122 + at / 16 % 5));
    codes.push_back(static_cast<uint8_t>(at * 37 + at / 256 * 11));
    for (const int64_t half : {0, 1}) {
      const int64_t row = 2 * at / columns, column = (2 * at + half) % columns;
      const float value = quant_table::kE2m1[codes.back() >> 4 * half & 15] * std::ldexp(1.0F, scales.back() - 127);
      numbers[static_cast<size_t>((row / rows * columns + column) * rows + row % rows)] = value;
    }
  }
  floats[name] = Tensor::from_vector(numbers, transposed);
  blocks.erase(name);
  blocks[name + "_blocks"] = Tensor::from_vector(codes, {experts, rows, columns / 32, 16});
  blocks[name + "_scales"] = Tensor::from_vector(scales, {experts, rows, columns / 32});
}

TEST(ExpertWeights, BlocksOfFourBitsAreTheirNumbers) {
  const test::FamilyModel model("gpt_oss");
  Tensors floats = tensors_of(model), blocks = floats;
  for (const auto& [name, tensor] : tensors_of(model)) {
    if (name.ends_with("experts.gate_up_proj") || name.ends_with("experts.down_proj")) add_blocks(floats, blocks, name, tensor.shape());
  }
  write_tensors(model, floats);
  const std::vector<float> right = logits_of_folder(model);
  write_tensors(model, blocks);
  std::string config(model.expected().get("config").as_string());
  config.insert(config.rfind('}'), R"(, "quantization_config": {"quant_method": "mxfp4", "modules_to_not_convert": []})");
  std::ofstream(model.folder() + "/config.json") << config;
  EXPECT_EQ(logits_of_folder(model), right);
  blocks.erase("model.layers.1.mlp.experts.down_proj_scales");
  write_tensors(model, blocks);
  EXPECT_THAT(test::message_of<FormatError>([&] { load_model(model.folder()); }),
              testing::HasSubstr("tensor 'model.layers.1.mlp.experts.down_proj_scales' of shape (5, 64, 1)"));
}

TEST(ExpertWeights, RoundingTellsThatTheyStayFloats) {
  for (const char* family : {"qwen3_moe", "mixtral", "gpt_oss", "gemma4_moe", "deepseek_v2"}) {
    const test::FamilyModel model(family);
    const test::Notices notices;
    load_model(model.folder(), DType::f32, Quantization::int8);
    EXPECT_THAT(notices.told(), testing::Contains(testing::HasSubstr("tensors of experts kept as floats"))) << family;
  }
}

TEST(ExpertWeights, WhatIsMissingOrDoesNotFitIsNamed) {
  const test::FamilyModel model("qwen3_moe");
  Tensors all = one_by_one(tensors_of(model), "mlp", "gate_proj", "up_proj", "down_proj");
  const Tensor taken = all["model.layers.2.mlp.experts.4.up_proj.weight"];
  all.erase("model.layers.2.mlp.experts.4.up_proj.weight");
  write_tensors(model, all);
  EXPECT_THAT(
      test::message_of<FormatError>([&] { load_model(model.folder()); }),
      testing::HasSubstr("tensor 'model.layers.2.mlp.experts.4.up_proj.weight' of shape (24, 40) (moe_intermediate_size, hidden_size) "
                         "is missing"));
  all["model.layers.2.mlp.experts.4.up_proj.weight"] = taken;
  all["model.layers.2.mlp.experts.6.up_proj.weight"] = taken;
  write_tensors(model, all);
  EXPECT_THAT(test::message_of<FormatError>([&] { load_model(model.folder()); }),
              testing::HasSubstr("tensor 'model.layers.2.mlp.experts.6.up_proj.weight' is not one that config.json calls for"));
  std::string config(model.expected().get("config").as_string());
  const std::string chosen = "\"num_experts_per_tok\": 3";
  config.replace(config.find(chosen), chosen.size(), "\"num_experts_per_tok\": 7");
  std::ofstream(model.folder() + "/config.json") << config;
  EXPECT_THAT(test::message_of<FormatError>([&] { load_model(model.folder()); }),
              testing::HasSubstr("$.num_experts_per_tok: at most num_local_experts = 6 expected, got 7"));
}

/// The error of a model whose configuration has these keys in place of its own.
std::string error_with(const char* family, std::vector<std::string> without, const std::string& with) {
  const test::FamilyModel model(family);
  std::string config(model.expected().get("config").as_string());
  for (const std::string& key : without) config.insert(config.find("\"" + key + "\"") + 1, "once_");
  config.insert(config.rfind('}'), ", " + with);
  std::ofstream(model.folder() + "/config.json") << config;
  return test::message_of<FormatError>([&] { load_model(model.folder()); });
}

TEST(ExpertConfigs, NumbersOfExpertsAreChecked) {
  const struct {
    const char *family, *experts, *chosen;
  } cases[] = {{"qwen3_moe", "num_local_experts", "num_experts_per_tok"},
               {"mixtral", "num_local_experts", "num_experts_per_tok"},
               {"gpt_oss", "num_local_experts", "num_experts_per_tok"},
               {"gemma4_moe", "num_experts", "top_k_experts"},
               {"deepseek_v2", "n_routed_experts", "num_experts_per_tok"}};
  for (const auto& c : cases) {
    for (const char* number : {"0", "-1", "65537", "9223372036854775807", "1e300", "null", "\"4\""}) {
      for (const char* key : {c.experts, c.chosen}) {
        const std::string message = error_with(c.family, {key}, "\"" + std::string(key) + "\": " + number);
        EXPECT_THAT(message, testing::HasSubstr(key)) << c.family << " " << number;
      }
    }
    EXPECT_THAT(error_with(c.family, {c.chosen}, "\"" + std::string(c.chosen) + "\": 9"),
                testing::HasSubstr(std::string(c.experts) + " = "))
        << c.family;
    // More experts than the file has: nothing of that size is allocated.
    EXPECT_THAT(error_with(c.family, {c.experts}, "\"" + std::string(c.experts) + "\": 65536"), testing::HasSubstr("65536")) << c.family;
  }
}

TEST(ExpertConfigs, WhatDeepseekV2DoesNotFollowIsNamed) {
  const auto error = [](std::vector<std::string> without, const std::string& with) {
    return error_with("deepseek_v2", std::move(without), with);
  };
  EXPECT_THAT(error({}, R"("scoring_func": "sigmoid")"), testing::HasSubstr("$.scoring_func: softmax expected"));
  EXPECT_THAT(error({}, R"("moe_layer_freq": 2)"), testing::HasSubstr("$.moe_layer_freq: 1 expected"));
  EXPECT_THAT(error({"norm_topk_prob"}, R"("norm_topk_prob": true)"), testing::HasSubstr("$.norm_topk_prob: false expected"));
  EXPECT_THAT(error({"topk_method"}, R"("topk_method": "noaux_tc")"), testing::HasSubstr("$.topk_method: greedy or group_limited_greedy"));
  EXPECT_THAT(error({"topk_method"}, R"("topk_method": "group_limited_greedy")"),
              testing::HasSubstr("n_group: a number of groups expected"));
  EXPECT_THAT(error({"topk_method", "n_group", "topk_group"}, R"("topk_method": "group_limited_greedy", "n_group": 4, "topk_group": 2)"),
              testing::HasSubstr("$.n_group: a divisor of n_routed_experts = 6 expected, got 4"));
  EXPECT_THAT(error({"num_key_value_heads"}, R"("num_key_value_heads": 2)"),
              testing::HasSubstr("$.num_key_value_heads: num_attention_heads = 4"));
  EXPECT_THAT(error({"qk_rope_head_dim"}, R"("qk_rope_head_dim": 7)"), testing::HasSubstr("$.qk_rope_head_dim: an even number expected"));
  EXPECT_THAT(error({"rope_parameters"}, R"("rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0})"),
              testing::HasSubstr("$.rope_parameters: yarn or no stretching expected in deepseek_v2"));
  EXPECT_THAT(error({"kv_lora_rank"}, R"("kv_lora_rank": 25)"), testing::HasSubstr("kv_lora_rank + qk_rope_head_dim"));
}

TEST(ExpertConfigs, DeepseekV2sOlderSpellingSaysTheSame) {
  const test::FamilyModel model("deepseek_v2");
  const std::vector<float> before = logits_of_folder(model);
  std::string config(model.expected().get("config").as_string());
  for (const char* key : {"rope_parameters", "head_dim", "qk_head_dim", "num_key_value_heads", "topk_method", "q_lora_rank"}) {
    config.insert(config.find("\"" + std::string(key) + "\"") + 1, "once_");
  }
  config.insert(config.rfind('}'), R"(, "q_lora_rank": null, "num_key_value_heads": null, "rope_theta": 10000, "aux_loss_alpha": 0.001,
      "moe_layer_freq": 1, "scoring_func": "softmax", "seq_aux": true, "ep_size": 1, "topk_method": "greedy", "rope_scaling": {"type": "yarn",
      "factor": 4, "original_max_position_embeddings": 16, "beta_fast": 4, "beta_slow": 0.5, "mscale": 0.7, "mscale_all_dim": 0.9})");
  std::ofstream(model.folder() + "/config.json") << config;
  EXPECT_EQ(logits_of_folder(model), before);
}

/// Then nothing hangs on which ones are best: the sum is that of all experts by their probabilities.
TEST(ExpertConfigs, ATokenMayHaveAllExperts) {
  for (const char* family : {"qwen3_moe", "mixtral", "gpt_oss", "gemma4_moe", "deepseek_v2"}) {
    const test::FamilyModel model(family);
    std::string config(model.expected().get("config").as_string());
    const JsonDocument document = JsonDocument::parse(config, "config.json");
    const auto number = [&](std::initializer_list<const char*> keys) {
      for (const char* key : keys) {
        if (const auto v = document.root().find(key); v && v->is_int()) return v->as_int();
      }
      return int64_t{0};
    };
    const std::string key = document.root().find("top_k_experts") ? "top_k_experts" : "num_experts_per_tok";
    config.insert(config.find("\"" + key + "\"") + 1, "once_");
    config.insert(config.rfind('}'), fmt::format(", \"{}\": {}", key, number({"n_routed_experts", "num_local_experts", "num_experts"})));
    std::ofstream(model.folder() + "/config.json") << config;
    const std::vector<float> made = logits_of_folder(model);
    set_default_device({DeviceKind::reference, 0});
    const std::vector<float> right = logits_of_folder(model);
    set_default_device({});
    for (size_t k = 0; k < right.size(); ++k) ASSERT_NEAR(made[k], right[k], 1e-4) << family << " " << k;
  }
}

TEST(ExpertWeights, RoutersAreNoLayersOfAdapters) {
  for (const char* family : {"qwen3_moe", "mixtral", "gpt_oss", "gemma4_moe", "deepseek_v2"}) {
    const test::FamilyModel model(family);
    const auto loaded = load_model(model.folder());
    std::vector<std::string> names;
    for (const LinearInfo& layer : loaded->linears()) names.push_back(layer.path.substr(layer.path.rfind('.') + 1));
    EXPECT_THAT(names, testing::Each(testing::AllOf(testing::Ne("gate"), testing::Ne("router"), testing::Ne("proj")))) << family;
    EXPECT_THAT(names, testing::Contains("o_proj")) << family;
  }
}

TEST(ExpertWeights, AdaptersOfExpertsAreRefusedByName) {
  const test::FamilyModel model("mixtral");
  const auto base = load_model(model.folder());
  const std::string folder = model.folder() + "/adapter", file = folder + "/adapter_model.safetensors";
  model.adapter(base->linears()).save(folder);
  Tensors all;
  {
    const SafetensorsFile saved = SafetensorsFile::open(file);
    for (const std::string& name : saved.names()) {
      all[name] = Tensor::from_vector(saved.tensor(name).to_vector<float>(), saved.info(name).shape);
    }
  }
  all["base_model.model.model.layers.0.mlp.experts.3.w1.lora_A.weight"] = Tensor::zeros(DType::f32, {4, 40});
  save_safetensors(file, all);
  EXPECT_THAT(test::message_of<FormatError>([&] { Adapter::load(folder, base->linears()); }),
              testing::HasSubstr("'base_model.model.model.layers.0.mlp.experts.3.w1.lora_A.weight' belongs to no layer"));
}

}  // namespace
}  // namespace lazuli
