// Defines the Llama architecture: biases only where config.json asks for them.
#include "models/decoder.h"
#include "models/registry.h"

namespace lazuli {

namespace {

std::shared_ptr<const LanguageModel> make_llama(const ModelConfig& config, const std::string& folder, WeightReader& weights) {
  DecoderTraits traits;
  traits.qkv_bias = traits.output_bias = config.attention_bias;
  traits.mlp_bias = config.mlp_bias;
  return std::make_shared<DecoderModel>(config, traits, folder, weights);
}

const RegisterArchitecture kLlama("llama", make_llama);

}  // namespace

}  // namespace lazuli
