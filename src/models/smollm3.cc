// Defines the SmolLM3 architecture: every fourth layer, or those that config.json names, knows no positions, and may have a window instead.
#include <fmt/format.h>

#include "models/decoder.h"

namespace lazuli {

namespace {

/// Of each layer, whether positions rotate its queries and keys.
std::vector<bool> layers_with_rope(const JsonValue& root, const ModelConfig& config) {
  std::vector<bool> rotated;
  if (const auto list = set_key(root, "no_rope_layers")) {
    for (const JsonValue& rope : list->as_array()) rotated.push_back(rope.as_int() != 0);
    if (static_cast<int64_t>(rotated.size()) == config.num_hidden_layers) return rotated;
    list->fail(fmt::format("num_hidden_layers = {} entries expected, got {}", config.num_hidden_layers, rotated.size()));
  }
  const int64_t interval = int_key(root, "no_rope_layer_interval", 1, INT32_MAX, 4);
  for (int64_t k = 0; k < config.num_hidden_layers; ++k) rotated.push_back((k + 1) % interval != 0);
  return rotated;
}

std::vector<int64_t> smollm3_windows(const JsonValue& root, const ModelConfig& config) {
  const bool slides = bool_key(root, "use_sliding_window", false) && set_key(root, "sliding_window");
  const std::vector<bool> rotated = layers_with_rope(root, config);
  return layer_windows(root, config, slides ? int_key(root, "sliding_window", 1, INT32_MAX, 0) : 0,
                       [&](int64_t layer) { return !rotated[static_cast<size_t>(layer)]; });
}

constexpr ConfigRules kSmolLM3Rules = {
    .windows = smollm3_windows,
    .hidden_size = 2048,
    .intermediate_size = 11008,
    .num_hidden_layers = 36,
    .num_attention_heads = 16,
    .num_key_value_heads = 4,
    .vocab_size = 128256,
    .max_position_embeddings = 32768,
    .tie_word_embeddings = true,
    .rope_theta = 2000000.0,
    .reads = {"attention_bias", "mlp_bias", "sliding_window", "no_rope_layers", "no_rope_layer_interval"}};

DecoderSpec smollm3_spec(const ModelConfig& config, DType) {
  const JsonValue root = config.json->root();
  DecoderSpec spec(config);
  spec.qkv_bias = spec.output_bias = bool_key(root, "attention_bias", false);
  spec.mlp_bias = bool_key(root, "mlp_bias", false);
  const std::vector<bool> rotated = layers_with_rope(root, config);
  for (size_t k = 0; k < rotated.size(); ++k) spec.layers[k].rope = rotated[k] ? 0 : LayerSpec::kNoRope;
  return spec;
}

const RegisterArchitecture kSmolLM3 = register_decoder<smollm3_spec>("smollm3", kSmolLM3Rules);

}  // namespace

}  // namespace lazuli
