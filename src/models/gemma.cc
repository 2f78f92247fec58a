// Defines the first Gemma architecture: norms scale by 1 + weight, embeddings are scaled, and the gated part's activation is the tanh form
// of GELU, which older files call `gelu`.
#include "models/decoder.h"

namespace lazuli {

namespace {

constexpr ConfigRules kGemmaRules = {.windows = full_attention_only,
                                     .hidden_size = 3072,
                                     .intermediate_size = 24576,
                                     .num_hidden_layers = 28,
                                     .num_attention_heads = 16,
                                     .num_key_value_heads = 16,
                                     .vocab_size = 256000,
                                     .max_position_embeddings = 8192,
                                     .head_dim = 256,
                                     .hidden_act = "gelu_pytorch_tanh",
                                     .tie_word_embeddings = true,
                                     .reads = {"attention_bias"}};

DecoderSpec gemma_spec(const ModelConfig& config, DType dtype) {
  DecoderSpec spec(config);
  spec.norm = NormKind::rms_plus_one;
  spec.qkv_bias = spec.output_bias = bool_key(config.json->root(), "attention_bias", false);
  spec.embedding_multiplier = square_root_in(dtype, static_cast<double>(config.hidden_size));
  if (config.hidden_act == "gelu") spec.activation = gelu_tanh;
  return spec;
}

const RegisterArchitecture kGemma = register_decoder<gemma_spec>("gemma", kGemmaRules);

}  // namespace

}  // namespace lazuli
