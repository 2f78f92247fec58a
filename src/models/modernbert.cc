// Defines the ModernBERT architecture (Warner et al. 2024): rotary positions, norms before both parts, a gated feed-forward part, and
// layers that see a window to either side between those that see everything.
#include "models/encoder.h"

namespace lazuli {

namespace {

/// Of each layer, whether it is local: it sees a window, unless that is as long as the context, and turns by the rope of local layers.
std::vector<bool> windowed_layers(const JsonValue& root, const ModelConfig& config) {
  const int64_t every = int_key(root, "global_attn_every_n_layers", 1, INT32_MAX, 3);
  return sliding_layers(root, config, [every](int64_t layer) { return layer % every != 0; });
}

/// Half of `local_attention`, to either side.
std::vector<int64_t> modernbert_windows(const JsonValue& root, const ModelConfig& config) {
  const std::vector<bool> local = windowed_layers(root, config);
  return layer_windows(root, config, int_key(root, "local_attention", 2, INT32_MAX, 128) / 2,
                       [&](int64_t layer) { return local[static_cast<size_t>(layer)]; });
}

constexpr ConfigRules kModernbertRules = {.windows = modernbert_windows,
                                          .hidden_size = 768,
                                          .intermediate_size = 1152,
                                          .num_hidden_layers = 22,
                                          .num_attention_heads = 12,
                                          .vocab_size = 50368,
                                          .max_position_embeddings = 8192,
                                          .activation_key = "hidden_activation",
                                          .hidden_act = "gelu",
                                          .ropes_by_layer = true,
                                          .decoder = false};

EncoderSpec modernbert_spec(const ModelConfig& config, WeightReader&) {
  const JsonValue root = config.json->root();
  EncoderSpec spec(config);
  spec.prefix = "model.";
  spec.tables = {.words = "embeddings.tok_embeddings", .positions = nullptr, .types = nullptr, .norm = "embeddings.norm"};
  spec.layers_path = "layers.";
  spec.names = {.fused = "attn.Wqkv",
                .output = "attn.Wo",
                .attention_norm = "attn_norm",
                .inner = "mlp.Wi",
                .outer = "mlp.Wo",
                .output_norm = "mlp_norm"};
  spec.last_norm = "final_norm";
  spec.norm_eps = real_key(root, "norm_eps", 0, 1, 1e-5);
  spec.norm_bias = bool_key(root, "norm_bias", false);
  spec.norms_first = true;
  spec.attention_bias = bool_key(root, "attention_bias", false);
  spec.mlp_bias = bool_key(root, "mlp_bias", false);
  spec.fused_gate = true;
  spec.pooler = false;
  require_even_heads(config);
  spec.ropes = {read_layer_rope(root, kModernbertRules, config, "full_attention", "global_rope_theta", 160000, true),
                read_layer_rope(root, kModernbertRules, config, "sliding_attention", "local_rope_theta", 10000, true)};
  const std::vector<bool> local = windowed_layers(root, config);
  for (size_t k = 0; k < local.size(); ++k) spec.layers[k] = {config.windows[k], local[k] ? 1 : 0, k > 0};
  return spec;
}

const RegisterArchitecture kModernbert = register_encoder<modernbert_spec>("modernbert", kModernbertRules);

}  // namespace

}  // namespace lazuli
