// Defines the architectures of Mistral: every layer sees a window of the positions before it; in Ministral some see all of them; in
// Ministral 3 queries grow with the position.
#include <fmt/format.h>

#include "models/decoder.h"

namespace lazuli {

namespace {

int64_t window_of(const JsonValue& root) {
  const auto window = root.find("sliding_window");
  return window && window->is_null() ? 0 : int_key(root, "sliding_window", 1, INT32_MAX, 4096);
}

std::vector<int64_t> mistral_windows(const JsonValue& root, const ModelConfig& config) {
  return windows_of_all_layers(root, config, window_of(root));
}

std::vector<int64_t> ministral_windows(const JsonValue& root, const ModelConfig& config) {
  return layer_windows(root, config, window_of(root), [](int64_t) { return true; });
}

constexpr ConfigRules rules_with(WindowRule& windows) {
  return {.windows = windows,
          .hidden_size = 4096,
          .intermediate_size = 14336,
          .num_hidden_layers = 32,
          .num_attention_heads = 32,
          .num_key_value_heads = 8,
          .vocab_size = 32000,
          .max_position_embeddings = 131072,
          .reads = {"sliding_window"}};
}

DecoderSpec mistral_spec(const ModelConfig& config, DType) { return DecoderSpec(config); }

constexpr ConfigRules kMinistral3Rules = {.windows = equal_windows,
                                          .hidden_size = 4096,
                                          .intermediate_size = 14336,
                                          .num_hidden_layers = 34,
                                          .num_attention_heads = 32,
                                          .num_key_value_heads = 8,
                                          .vocab_size = 131072,
                                          .max_position_embeddings = 262144,
                                          .head_dim = 128,
                                          .rms_norm_eps = 1e-5,
                                          .rope_theta = 1e6,
                                          .reads = {"sliding_window"}};

DecoderSpec ministral3_spec(const ModelConfig& config, DType) {
  constexpr const char* kGrowth = "llama_4_scaling_beta";
  const JsonValue root = config.json->root();
  const auto rope = rope_object(root);
  if (!rope || config.rope.scaling.kind != RopeScaling::Kind::yarn) {
    fail_key(root, "rope_parameters", fmt::format("yarn and its {} expected in ministral3", kGrowth));
  }
  DecoderSpec spec(config);
  spec.ropes[0].query_growth = real_in_range(rope->get(kGrowth), 0, 1e6);
  return spec;
}

const RegisterArchitecture kMistral = register_decoder<mistral_spec>("mistral", rules_with(mistral_windows));
const RegisterArchitecture kMinistral = register_decoder<mistral_spec>("ministral", rules_with(ministral_windows));
const RegisterArchitecture kMinistral3 = register_decoder<ministral3_spec>("ministral3", kMinistral3Rules);
const RegisterWrapper kMistral3{"mistral3", {.text_type = "mistral", .ties = true}};

}  // namespace

}  // namespace lazuli
