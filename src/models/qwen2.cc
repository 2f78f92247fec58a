// Defines the Qwen2 architecture: query, key and value layers have a bias, nothing else does.
#include "models/decoder.h"

namespace lazuli {

namespace {

constexpr ConfigRules kQwen2Rules = {.windows = qwen_windows,
                                     .hidden_size = 4096,
                                     .intermediate_size = 22016,
                                     .num_hidden_layers = 32,
                                     .num_attention_heads = 32,
                                     .num_key_value_heads = 32,
                                     .vocab_size = 151936,
                                     .max_position_embeddings = 32768,
                                     .reads = {"sliding_window"}};

DecoderSpec qwen2_spec(const ModelConfig& config, DType) {
  DecoderSpec spec(config);
  spec.qkv_bias = true;
  return spec;
}

const RegisterArchitecture kQwen2 = register_decoder<qwen2_spec>("qwen2", kQwen2Rules);

}  // namespace

}  // namespace lazuli
