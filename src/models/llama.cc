// Defines the Llama architecture, alone or as the text part of wrappers: biases only where config.json asks for them.
#include "models/decoder.h"

namespace lazuli {

namespace {

constexpr ConfigRules kLlamaRules = {.windows = full_attention_only,
                                     .hidden_size = 4096,
                                     .intermediate_size = 11008,
                                     .num_hidden_layers = 32,
                                     .num_attention_heads = 32,
                                     .vocab_size = 32000,
                                     .max_position_embeddings = 2048,
                                     .reads = {"attention_bias", "mlp_bias"}};

DecoderSpec llama_spec(const ModelConfig& config, DType) {
  DecoderSpec spec(config);
  spec.qkv_bias = spec.output_bias = bool_key(config.json->root(), "attention_bias", false);
  spec.mlp_bias = bool_key(config.json->root(), "mlp_bias", false);
  return spec;
}

const RegisterArchitecture kLlama = register_decoder<llama_spec>("llama", kLlamaRules);
const RegisterWrapper kLlava{"llava", {.text_type = "llama", .text_ties = true}};
const RegisterWrapper kLlavaNext{"llava_next", {.text_type = "llama"}};
const RegisterWrapper kLlavaOnevision{"llava_onevision", {.text_type = "qwen2", .text_ties = true}};
const RegisterWrapper kVipLlava{"vipllava", {.text_type = "llama"}};
const RegisterWrapper kInternVl{"internvl", {.text_type = "qwen2", .ties = true}};

}  // namespace

}  // namespace lazuli
