// Defines the Mistral architecture: every layer sees a window of the positions before it.
#include "models/decoder.h"

namespace lazuli {

namespace {

std::vector<int64_t> mistral_windows(const JsonValue& root, const ModelConfig& config) {
  const auto window = root.find("sliding_window");
  const int64_t length = window && window->is_null() ? 0 : int_key(root, "sliding_window", 1, INT32_MAX, 4096);
  return layer_windows(root, config, length, [](int64_t) { return true; });
}

constexpr ConfigRules kMistralRules = {.windows = mistral_windows,
                                       .hidden_size = 4096,
                                       .intermediate_size = 14336,
                                       .num_hidden_layers = 32,
                                       .num_attention_heads = 32,
                                       .num_key_value_heads = 8,
                                       .vocab_size = 32000,
                                       .max_position_embeddings = 131072,
                                       .reads = {"sliding_window"}};

DecoderSpec mistral_spec(const ModelConfig& config, DType) { return DecoderSpec(config); }

const RegisterArchitecture kMistral = register_decoder<mistral_spec>("mistral", kMistralRules);

}  // namespace

}  // namespace lazuli
