// Defines the Qwen3-Next architecture: layers as those of Qwen3.5-MoE, whose weights of linear attention lie head by head, and maybe some
// without experts.
#include <algorithm>

#include "models/linear_layers.h"

namespace lazuli {

namespace {

constexpr ConfigRules kQwen3NextRules = {.windows = linear_or_full_attention,
                                         .hidden_size = 2048,
                                         .intermediate_size = 5632,
                                         .num_hidden_layers = 48,
                                         .num_attention_heads = 16,
                                         .num_key_value_heads = 2,
                                         .vocab_size = 151936,
                                         .max_position_embeddings = 32768,
                                         .head_dim = 256,
                                         .partial_rotary_factor = 0.25,
                                         .reads = {"attention_bias", "partial_rotary_factor", "num_experts"}};

DecoderSpec qwen3_next_spec(const ModelConfig& config, DType) {
  const JsonValue root = config.json->root();
  DecoderSpec spec = linear_layers_spec(config);
  spec.delta_net.by_head = true;
  std::vector<bool> gated = layers_without_experts(root, config);
  // Without experts no layer has any.
  if (const auto count = root.find("num_experts"); count && count->is_int() && count->as_int() == 0) gated.assign(gated.size(), true);
  for (size_t k = 0; k < gated.size(); ++k) spec.layers[k].gated = gated[k];
  if (std::find(gated.begin(), gated.end(), false) == gated.end()) return spec;
  ExpertsSpec experts = shared_experts_spec(config, 512, 10);
  experts.routing = bool_key(root, "norm_topk_prob", true) ? Routing::normalised : Routing::all;
  spec.feed_forward = [experts](LayerReader& reader, const std::string& path) { return read_experts(reader, path, experts); };
  return spec;
}

const RegisterArchitecture kQwen3Next = register_decoder<qwen3_next_spec>("qwen3_next", kQwen3NextRules);

}  // namespace

}  // namespace lazuli
