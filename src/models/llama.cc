// Defines the Llama architecture: biases only where config.json asks for them.
#include "models/decoder.h"
#include "models/registry.h"

namespace lazuli {

namespace {

// A bare `sliding_window` is without effect: the architecture has no windows.
constexpr ConfigRules kLlamaRules = {.windows = full_attention_only,
                                     .hidden_size = 4096,
                                     .intermediate_size = 11008,
                                     .num_hidden_layers = 32,
                                     .num_attention_heads = 32,
                                     .vocab_size = 32000,
                                     .max_position_embeddings = 2048};

std::shared_ptr<const LanguageModel> make_llama(const ModelConfig& config, const std::string& folder, WeightReader& weights) {
  DecoderTraits traits;
  traits.qkv_bias = traits.output_bias = bool_key(config.json->root(), "attention_bias", false);
  traits.mlp_bias = bool_key(config.json->root(), "mlp_bias", false);
  return std::make_shared<DecoderModel>(config, traits, folder, weights);
}

const RegisterArchitecture kLlama("llama", kLlamaRules, make_llama);

}  // namespace

}  // namespace lazuli
