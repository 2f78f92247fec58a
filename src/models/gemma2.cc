// Defines the Gemma 2 architecture: every second layer sees a window, scores and logits are capped, norms stand before and after both parts
// of a layer and scale by 1 + weight, and embeddings are scaled.
#include <cmath>

#include "models/decoder.h"

namespace lazuli {

namespace {

std::vector<int64_t> gemma2_windows(const JsonValue& root, const ModelConfig& config) {
  const int64_t length =
      set_key(root, "sliding_window") || !root.find("sliding_window") ? int_key(root, "sliding_window", 1, INT32_MAX, 4096) : 0;
  return layer_windows(root, config, length, [](int64_t layer) { return layer % 2 == 0; });
}

constexpr ConfigRules kGemma2Rules = {
    .windows = gemma2_windows,
    .hidden_size = 2304,
    .intermediate_size = 9216,
    .num_hidden_layers = 26,
    .num_attention_heads = 8,
    .num_key_value_heads = 4,
    .vocab_size = 256000,
    .max_position_embeddings = 8192,
    .head_dim = 256,
    .activation_key = "hidden_activation",
    .hidden_act = "gelu_pytorch_tanh",
    .tie_word_embeddings = true,
    .reads = {"sliding_window", "attention_bias", "query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping"}};

/// null is no cap.
double cap_of(const JsonValue& root, std::string_view key, double otherwise) {
  const auto v = root.find(key);
  return v && v->is_null() ? 0 : real_key(root, key, 1e-6, 1e6, otherwise);
}

DecoderSpec gemma2_spec(const ModelConfig& config, DType dtype) {
  const JsonValue root = config.json->root();
  DecoderSpec spec(config);
  spec.norm = NormKind::rms_plus_one;
  spec.norms = {"input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"};
  spec.qkv_bias = spec.output_bias = bool_key(root, "attention_bias", false);
  spec.attention_scale = 1 / std::sqrt(real_key(root, "query_pre_attn_scalar", 1e-6, 1e9, 256));
  spec.score_softcap = cap_of(root, "attn_logit_softcapping", 50);
  spec.logit_softcap = cap_of(root, "final_logit_softcapping", 30);
  spec.embedding_multiplier = square_root_in(dtype, static_cast<double>(config.hidden_size));
  return spec;
}

const RegisterArchitecture kGemma2 = register_decoder<gemma2_spec>("gemma2", kGemma2Rules);

}  // namespace

}  // namespace lazuli
