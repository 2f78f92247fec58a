// Defines a small Llama model with weights by a formula, which a test writes and changes.
#pragma once

#include <fmt/format.h>

#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lazuli/model.h"
#include "lazuli/safetensors.h"
#include "lazuli/tensor.h"
#include "support/temp_folder.h"

namespace lazuli::test {

inline constexpr const char* kTinyLlamaConfig = R"({"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 32,
  "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 64,
  "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "attention_bias": true, "mlp_bias": true, "tie_word_embeddings": false,
  "hidden_act": "silu", "eos_token_id": 0, "rope_parameters": {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0,
  "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}})";

inline std::map<std::string, Shape> tiny_llama_shapes() {
  std::map<std::string, Shape> shapes = {
      {"lm_head.weight", {64, 32}}, {"model.embed_tokens.weight", {64, 32}}, {"model.norm.weight", {32}}};
  const auto linear = [&](const std::string& path, int64_t out, int64_t in) {
    shapes[path + ".weight"] = {out, in};
    shapes[path + ".bias"] = {out};
  };
  for (int k = 0; k < 2; ++k) {
    const std::string path = fmt::format("model.layers.{}.", k);
    linear(path + "self_attn.q_proj", 64, 32);
    linear(path + "self_attn.k_proj", 32, 32);
    linear(path + "self_attn.v_proj", 32, 32);
    linear(path + "self_attn.o_proj", 32, 64);
    linear(path + "mlp.gate_proj", 48, 32);
    linear(path + "mlp.up_proj", 48, 32);
    linear(path + "mlp.down_proj", 32, 48);
    shapes[path + "input_layernorm.weight"] = shapes[path + "post_attention_layernorm.weight"] = {32};
  }
  return shapes;
}

/// Element i of tensor number s (in the order of names): ((2654435761 (i + 1) + 40503 (s + 1)) mod 2^32 / 2^32 - 0.5) * 0.6, and 1 more for
/// norms.
inline std::map<std::string, Tensor> tiny_llama_weights() {
  std::map<std::string, Tensor> weights;
  uint64_t s = 0;
  for (const auto& [name, shape] : tiny_llama_shapes()) {
    ++s;
    Tensor t = Tensor::empty(DType::f32, shape);
    uint64_t i = 0;
    for (float& v : t.mutable_data<float>()) {
      const auto h = static_cast<uint32_t>(++i * 2654435761ULL + s * 40503ULL);
      v = static_cast<float>((static_cast<double>(h) / 4294967296.0 - 0.5) * 0.6 + (name.find("norm") != std::string::npos ? 1 : 0));
    }
    weights[name] = t;
  }
  return weights;
}

/// The model itself. `broken`: a weight of its last norm is NaN.
inline std::shared_ptr<const LanguageModel> tiny_llama_model(bool broken = false) {
  const TempFolder folder;
  folder.write("config.json", kTinyLlamaConfig);
  auto weights = tiny_llama_weights();
  if (broken) weights["model.norm.weight"].mutable_data<float>()[3] = std::numeric_limits<float>::quiet_NaN();
  save_safetensors(folder.path("model.safetensors"), weights);
  return load_model(folder.path());
}

/// Tokens of its vocabulary.
inline std::vector<int32_t> some_ids(size_t count) {
  std::vector<int32_t> ids(count);
  for (size_t k = 0; k < count; ++k) ids[k] = static_cast<int32_t>((k * 37 + 11) % 64);
  return ids;
}

}  // namespace lazuli::test
