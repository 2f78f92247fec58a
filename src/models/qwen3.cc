// Defines the Qwen3 architecture: queries and keys are normed head by head, and heads have a size of their own.
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

const RegisterArchitecture kQwen3 = register_decoder<qwen3_spec>("qwen3", kQwen3Rules);

}  // namespace

}  // namespace lazuli
