// Implements what Qwen's decoders with layers of linear attention share.
#include "models/linear_layers.h"

#include <fmt/format.h>

namespace lazuli {

namespace {

/// Of each layer, whether its attention is linear.
std::vector<bool> are_linear(const JsonValue& root, const ModelConfig& config) {
  return layers_of_type(root, config, "linear_attention",
                        [&](int64_t layer) { return (layer + 1) % int_key(root, "full_attention_interval", 1, INT32_MAX, 4) != 0; });
}

DeltaNetSpec delta_net_spec(const JsonValue& root, const ModelConfig& config) {
  constexpr int64_t kMostHeads = 1 << 12, kMostSize = 1 << 12, kMostTaps = 64;
  DeltaNetSpec spec;
  spec.hidden = config.hidden_size;
  spec.key_heads = int_key(root, "linear_num_key_heads", 1, kMostHeads, 16);
  spec.value_heads = int_key(root, "linear_num_value_heads", 1, kMostHeads, 32);
  spec.key_size = int_key(root, "linear_key_head_dim", 1, kMostSize, 128);
  spec.value_size = int_key(root, "linear_value_head_dim", 1, kMostSize, 128);
  spec.taps = int_key(root, "linear_conv_kernel_dim", 2, kMostTaps, 4);
  spec.norm_eps = config.rms_norm_eps;
  spec.activation = activation_of(config);
  if (spec.value_heads % spec.key_heads != 0) {
    fail_key(root, "linear_num_value_heads",
             fmt::format("a multiple of linear_num_key_heads = {} expected, got {}", spec.key_heads, spec.value_heads));
  }
  return spec;
}

}  // namespace

std::vector<int64_t> linear_or_full_attention(const JsonValue& root, const ModelConfig& config) {
  return std::vector<int64_t>(are_linear(root, config).size(), 0);
}

ExpertsSpec shared_experts_spec(const ModelConfig& config, int64_t experts, int64_t chosen) {
  constexpr int64_t kMostSize = 1 << 24;
  const JsonValue root = config.json->root();
  ExpertsSpec spec = experts_spec(config, experts, chosen, {.experts = "num_experts", .other = "num_experts"});
  spec.inner = int_key(root, "moe_intermediate_size", 1, kMostSize, 512);
  spec.shared = int_key(root, "shared_expert_intermediate_size", 1, kMostSize, 512);
  spec.shared_gated = true;
  spec.routing = Routing::normalised;
  return spec;
}

DecoderSpec linear_layers_spec(const ModelConfig& config) {
  const JsonValue root = config.json->root();
  DecoderSpec spec(config);
  spec.norm = NormKind::rms_plus_one;
  spec.query_key_norm = QueryKeyNorm::by_head;
  spec.qkv_bias = spec.output_bias = bool_key(root, "attention_bias", false);
  spec.output_gate = true;
  spec.delta_net = delta_net_spec(root, config);
  const std::vector<bool> linear = are_linear(root, config);
  for (size_t k = 0; k < linear.size(); ++k) spec.layers[k].linear = linear[k];
  return spec;
}

}  // namespace lazuli
