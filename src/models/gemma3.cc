// Defines the Gemma 3 architecture, alone or as the text part of a wrapper: five of six layers see a window and turn by a rope of their
// own, queries and keys are normed head by head, norms scale by 1 + weight, and embeddings are scaled.
#include <cmath>

#include "models/decoder.h"

namespace lazuli {

namespace {

/// Of each layer, whether it is local: it sees a window, unless that is as long as the context, and turns by the rope of local layers.
std::vector<bool> local_layers(const JsonValue& root, const ModelConfig& config) {
  const int64_t pattern = int_key(root, "sliding_window_pattern", 1, INT32_MAX, 6);
  return sliding_layers(root, config, [pattern](int64_t layer) { return (layer + 1) % pattern != 0; });
}

/// EmbeddingGemma's attention.
bool to_both_sides(const JsonValue& root) {
  return set_key(root, "use_bidirectional_attention") && bool_key(root, "use_bidirectional_attention", false);
}

std::vector<int64_t> gemma3_windows(const JsonValue& root, const ModelConfig& config) {
  const std::vector<bool> local = local_layers(root, config);
  const int64_t length = int_key(root, "sliding_window", 1, INT32_MAX, 4096);
  // Of attention to both sides the window is the sum of both.
  return layer_windows(root, config, to_both_sides(root) ? length / 2 + 1 : length,
                       [&](int64_t layer) { return local[static_cast<size_t>(layer)]; });
}

constexpr ConfigRules kGemma3Rules = {.windows = gemma3_windows,
                                      .hidden_size = 2304,
                                      .intermediate_size = 9216,
                                      .num_hidden_layers = 26,
                                      .num_attention_heads = 8,
                                      .num_key_value_heads = 4,
                                      .vocab_size = 262208,
                                      .max_position_embeddings = 131072,
                                      .head_dim = 256,
                                      .activation_key = "hidden_activation",
                                      .hidden_act = "gelu_pytorch_tanh",
                                      .tie_word_embeddings = true,
                                      .ropes_by_layer = true,
                                      .reads = {"sliding_window", "attention_bias", "query_pre_attn_scalar", "final_logit_softcapping",
                                                "rope_local_base_freq", "sliding_window_pattern", "use_bidirectional_attention"}};

DecoderSpec gemma3_spec(const ModelConfig& config, DType dtype) {
  const JsonValue root = config.json->root();
  DecoderSpec spec(config);
  spec.norm = NormKind::rms_plus_one;
  spec.norms = {"input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"};
  spec.query_key_norm = QueryKeyNorm::by_head;
  spec.bidirectional = to_both_sides(root);
  spec.qkv_bias = spec.output_bias = bool_key(root, "attention_bias", false);
  spec.attention_scale = 1 / std::sqrt(real_key(root, "query_pre_attn_scalar", 1e-6, 1e9, 256));
  if (set_key(root, "final_logit_softcapping")) spec.logit_softcap = real_key(root, "final_logit_softcapping", 1e-6, 1e6, 0);
  spec.embedding_multiplier = square_root_in(dtype, static_cast<double>(config.hidden_size));
  spec.ropes = {read_layer_rope(root, kGemma3Rules, config, "full_attention", "rope_theta", 1e6, true),
                read_layer_rope(root, kGemma3Rules, config, "sliding_attention", "rope_local_base_freq", 1e4, false)};
  const std::vector<bool> local = local_layers(root, config);
  for (size_t k = 0; k < local.size(); ++k) spec.layers[k].rope = local[k] ? 1 : 0;
  return spec;
}

const RegisterArchitecture kGemma3 = register_decoder<gemma3_spec>("gemma3_text", kGemma3Rules);
const RegisterWrapper kGemma3Wrapper{"gemma3", {.text_type = "gemma3_text", .only_type = true, .ties = true}};

}  // namespace

}  // namespace lazuli
