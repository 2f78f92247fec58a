// Defines the Qwen2 architecture: query, key and value layers have a bias, nothing else does.
#include "models/decoder.h"
#include "models/registry.h"

namespace lazuli {

namespace {

std::shared_ptr<const LanguageModel> make_qwen2(const ModelConfig& config, const std::string& folder, WeightReader& weights) {
  DecoderTraits traits;
  traits.qkv_bias = true;
  return std::make_shared<DecoderModel>(config, traits, folder, weights);
}

const RegisterArchitecture kQwen2("qwen2", make_qwen2);

}  // namespace

}  // namespace lazuli
