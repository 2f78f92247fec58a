// Defines the OLMo 2 architecture: norms stand only after both parts of a layer, and those of queries and keys take all heads as one row.
#include "models/decoder.h"

namespace lazuli {

namespace {

constexpr ConfigRules kOlmo2Rules = {.windows = full_attention_only,
                                     .hidden_size = 4096,
                                     .intermediate_size = 11008,
                                     .num_hidden_layers = 32,
                                     .num_attention_heads = 32,
                                     .vocab_size = 50304,
                                     .max_position_embeddings = 2048,
                                     .rms_norm_eps = 1e-5,
                                     .reads = {"attention_bias"}};

DecoderSpec olmo2_spec(const ModelConfig& config, DType) {
  DecoderSpec spec(config);
  spec.norms = {nullptr, "post_attention_layernorm", nullptr, "post_feedforward_layernorm"};
  spec.query_key_norm = QueryKeyNorm::whole;
  spec.qkv_bias = spec.output_bias = bool_key(config.json->root(), "attention_bias", false);
  return spec;
}

const RegisterArchitecture kOlmo2 = register_decoder<olmo2_spec>("olmo2", kOlmo2Rules);

}  // namespace

}  // namespace lazuli
