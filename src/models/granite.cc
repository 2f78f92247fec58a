// Defines the Granite architecture: embeddings, scores and what a part adds are multiplied by numbers of config.json, logits divided by
// one.
#include "models/decoder.h"

namespace lazuli {

namespace {

constexpr ConfigRules kGraniteRules = {
    .windows = full_attention_only,
    .hidden_size = 4096,
    .intermediate_size = 11008,
    .num_hidden_layers = 32,
    .num_attention_heads = 32,
    .vocab_size = 32000,
    .max_position_embeddings = 2048,
    .reads = {"attention_bias", "mlp_bias", "embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling"}};

double granite_number(const ModelConfig& config, std::string_view key) { return real_key(config.json->root(), key, 1e-9, 1e9, 1); }

DecoderSpec granite_spec(const ModelConfig& config, DType) {
  const JsonValue root = config.json->root();
  DecoderSpec spec(config);
  spec.qkv_bias = spec.output_bias = bool_key(root, "attention_bias", false);
  spec.mlp_bias = bool_key(root, "mlp_bias", false);
  spec.attention_scale = granite_number(config, "attention_multiplier");
  spec.embedding_multiplier = granite_number(config, "embedding_multiplier");
  spec.residual_multiplier = granite_number(config, "residual_multiplier");
  spec.logit_multiplier = 1 / granite_number(config, "logits_scaling");
  return spec;
}

const RegisterArchitecture kGranite = register_decoder<granite_spec>("granite", kGraniteRules);

}  // namespace

}  // namespace lazuli
