// Defines the Qwen2 architecture: query, key and value layers have a bias, nothing else does.
#include <fmt/format.h>

#include "models/decoder.h"
#include "models/registry.h"

namespace lazuli {

namespace {

constexpr const char* kSliding = "sliding_attention";

/// Which layers slide: those that `layer_types` says, or without it those from `max_window_layers` on.
std::vector<bool> sliding_layers(const JsonValue& root, const ModelConfig& config, bool has_window) {
  std::vector<bool> sliding;
  if (const auto types = set_key(root, "layer_types")) {
    for (const JsonValue& type : types->as_array()) {
      const std::string_view kind = type.as_string();
      if (kind != kSliding && kind != "full_attention" && kind != "attention") {
        type.fail(fmt::format("full_attention or {} expected, got '{}'", kSliding, kind));
      }
      sliding.push_back(kind == kSliding);
    }
    if (static_cast<int64_t>(sliding.size()) != config.num_hidden_layers) {
      types->fail(fmt::format("num_hidden_layers = {} entries expected, got {}", config.num_hidden_layers, sliding.size()));
    }
    return sliding;
  }
  const int64_t first = int_key(root, "max_window_layers", INT32_MIN, INT32_MAX, 28);
  for (int64_t k = 0; k < config.num_hidden_layers; ++k) sliding.push_back(has_window && k >= first);
  return sliding;
}

/// `sliding_window` counts only with `use_sliding_window`, and a window as long as the context is none.
void qwen2_windows(const JsonValue& root, const ModelConfig& config) {
  const bool used = bool_key(root, "use_sliding_window", false);
  const auto window = root.find("sliding_window");
  const bool has_window = used && !(window && window->is_null());
  const std::vector<bool> sliding = sliding_layers(root, config, has_window);
  for (size_t k = 0; k < sliding.size(); ++k) {
    if (!sliding[k]) continue;
    if (!has_window) {
      fail_key(root, "layer_types", fmt::format("layer {} slides without a window: use_sliding_window and sliding_window expected", k));
    }
    const int64_t length = int_key(root, "sliding_window", 1, INT32_MAX, 4096);
    if (length >= config.max_position_embeddings) continue;
    fail_key(root, "use_sliding_window",
             fmt::format("sliding window attention is not supported: layer {} sees {} positions of a context of {}", k, length,
                         config.max_position_embeddings));
  }
}

constexpr ConfigRules kQwen2Rules = {.windows = qwen2_windows,
                                     .hidden_size = 4096,
                                     .intermediate_size = 22016,
                                     .num_hidden_layers = 32,
                                     .num_attention_heads = 32,
                                     .num_key_value_heads = 32,
                                     .vocab_size = 151936,
                                     .max_position_embeddings = 32768};

std::shared_ptr<const LanguageModel> make_qwen2(const ModelConfig& config, const std::string& folder, WeightReader& weights) {
  DecoderTraits traits;
  traits.qkv_bias = true;
  return std::make_shared<DecoderModel>(config, traits, folder, weights);
}

const RegisterArchitecture kQwen2("qwen2", kQwen2Rules, make_qwen2);

}  // namespace

}  // namespace lazuli
