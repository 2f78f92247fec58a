// Defines the Qwen3-MoE architecture: Qwen3 with experts in some layers, and a window in all of them or in none.
#include <fmt/format.h>

#include <algorithm>

#include "models/decoder.h"
#include "models/experts.h"

namespace lazuli {

namespace {

std::vector<int64_t> qwen3_moe_windows(const JsonValue& root, const ModelConfig& config) {
  const bool slides = bool_key(root, "use_sliding_window", false) && (set_key(root, "sliding_window") || !root.find("sliding_window"));
  const int64_t length = slides ? int_key(root, "sliding_window", 1, INT32_MAX, 4096) : 0;
  const std::vector<int64_t> windows = layer_windows(root, config, length, [](int64_t) { return true; });
  for (const int64_t window : windows) {
    if (window == 0 && length > 0 && length < config.max_position_embeddings) {
      fail_key(root, "layer_types", fmt::format("the window of {} in all layers expected", length));
    }
  }
  return windows;
}

constexpr ConfigRules kQwen3MoeRules = {.windows = qwen3_moe_windows,
                                        .hidden_size = 2048,
                                        .intermediate_size = 6144,
                                        .num_hidden_layers = 24,
                                        .num_attention_heads = 32,
                                        .num_key_value_heads = 4,
                                        .vocab_size = 151936,
                                        .max_position_embeddings = 32768,
                                        .reads = {"sliding_window", "attention_bias", "num_experts", "num_local_experts"}};

DecoderSpec qwen3_moe_spec(const ModelConfig& config, DType) {
  const JsonValue root = config.json->root();
  DecoderSpec spec(config);
  spec.qkv_bias = spec.output_bias = bool_key(root, "attention_bias", false);
  spec.query_key_norm = QueryKeyNorm::by_head;
  const std::vector<bool> gated = layers_without_experts(root, config);
  for (size_t k = 0; k < gated.size(); ++k) spec.layers[k].gated = gated[k];
  if (std::find(gated.begin(), gated.end(), false) == gated.end()) return spec;
  ExpertsSpec experts = experts_spec(config, 128, 8);
  experts.inner = int_key(root, "moe_intermediate_size", 1, 1 << 24, 768);
  experts.routing = bool_key(root, "norm_topk_prob", false) ? Routing::normalised : Routing::all;
  spec.feed_forward = [experts](LayerReader& reader, const std::string& path) { return read_experts(reader, path, experts); };
  return spec;
}

const RegisterArchitecture kQwen3Moe = register_decoder<qwen3_moe_spec>("qwen3_moe", kQwen3MoeRules);

}  // namespace

}  // namespace lazuli
