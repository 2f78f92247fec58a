// Defines the Qwen3 architecture, alone or as the text part of Qwen3-VL: queries and keys are normed head by head, and heads have a size of
// their own.
#include "models/decoder.h"

namespace lazuli {

namespace {

constexpr ConfigRules kQwen3Rules = {.windows = qwen_windows,
                                     .hidden_size = 4096,
                                     .intermediate_size = 22016,
                                     .num_hidden_layers = 32,
                                     .num_attention_heads = 32,
                                     .num_key_value_heads = 32,
                                     .vocab_size = 151936,
                                     .max_position_embeddings = 32768,
                                     .head_dim = 128,
                                     .reads = {"sliding_window", "attention_bias"}};

DecoderSpec qwen3_spec(const ModelConfig& config, DType) {
  DecoderSpec spec(config);
  spec.qkv_bias = spec.output_bias = bool_key(config.json->root(), "attention_bias", false);
  spec.query_key_norm = QueryKeyNorm::by_head;
  return spec;
}

/// In texts the three positions of a token, in time, height and width, are one and the same.
constexpr ConfigRules kVision3TextRules = {.windows = full_attention_only,
                                           .hidden_size = 4096,
                                           .intermediate_size = 22016,
                                           .num_hidden_layers = 32,
                                           .num_attention_heads = 32,
                                           .num_key_value_heads = 32,
                                           .vocab_size = 151936,
                                           .max_position_embeddings = 128000,
                                           .head_dim = 128,
                                           .rope_theta = 5e5,
                                           .reads = {"attention_bias"}};

const RegisterArchitecture kQwen3 = register_decoder<qwen3_spec>("qwen3", kQwen3Rules);
const RegisterArchitecture kQwen3VlText = register_decoder<qwen3_spec>("qwen3_vl_text", kVision3TextRules);
const RegisterWrapper kQwen3Vl{"qwen3_vl", {.text_type = "qwen3_vl_text", .only_type = true}};

}  // namespace

}  // namespace lazuli
