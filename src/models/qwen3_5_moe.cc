// Defines the text part of the Qwen3.5-MoE architecture: Qwen3.5 with experts in all layers, beside one that all tokens have.
#include "models/linear_layers.h"

namespace lazuli {

namespace {

/// No layer has a part of intermediate_size.
constexpr ConfigRules kQwen35MoeRules = {.windows = linear_or_full_attention,
                                         .hidden_size = 2048,
                                         .intermediate_size = 512,
                                         .num_hidden_layers = 40,
                                         .num_attention_heads = 16,
                                         .num_key_value_heads = 2,
                                         .vocab_size = 248320,
                                         .max_position_embeddings = 32768,
                                         .head_dim = 256,
                                         .partial_rotary_factor = 0.25,
                                         .reads = {"attention_bias", "partial_rotary_factor", "num_experts"}};

DecoderSpec qwen3_5_moe_spec(const ModelConfig& config, DType) {
  DecoderSpec spec = linear_layers_spec(config);
  const ExpertsSpec experts = shared_experts_spec(config, 256, 8);
  spec.feed_forward = [experts](LayerReader& reader, const std::string& path) { return read_experts(reader, path, experts); };
  return spec;
}

const RegisterArchitecture kQwen35Moe = register_decoder<qwen3_5_moe_spec>("qwen3_5_moe_text", kQwen35MoeRules);
const RegisterWrapper kQwen35MoeWhole{"qwen3_5_moe", {.text_type = "qwen3_5_moe_text", .only_type = true}};

}  // namespace

}  // namespace lazuli
