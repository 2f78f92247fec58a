// Implements the rules of attention's windows.
#include <fmt/format.h>

#include "io/model_config.h"

namespace lazuli {

std::vector<bool> layers_of_type(const JsonValue& root, const ModelConfig& config, std::string_view type,
                                 const std::function<bool(int64_t layer)>& missing) {
  std::vector<bool> of_type;
  const auto types = set_key(root, "layer_types");
  if (!types) {
    for (int64_t k = 0; k < config.num_hidden_layers; ++k) of_type.push_back(missing(k));
    return of_type;
  }
  for (const JsonValue& layer : types->as_array()) {
    const std::string_view kind = layer.as_string();
    if (kind != type && kind != "full_attention" && kind != "attention") {
      layer.fail(fmt::format("full_attention or {} expected, got '{}'", type, kind));
    }
    of_type.push_back(kind == type);
  }
  if (static_cast<int64_t>(of_type.size()) != config.num_hidden_layers) {
    types->fail(fmt::format("num_hidden_layers = {} entries expected, got {}", config.num_hidden_layers, of_type.size()));
  }
  return of_type;
}

std::vector<bool> sliding_layers(const JsonValue& root, const ModelConfig& config, const std::function<bool(int64_t layer)>& slides) {
  return layers_of_type(root, config, "sliding_attention", slides);
}

std::vector<int64_t> layer_windows(const JsonValue& root, const ModelConfig& config, int64_t length,
                                   const std::function<bool(int64_t layer)>& slides) {
  const std::vector<bool> layers = sliding_layers(root, config, [&](int64_t layer) { return length > 0 && slides(layer); });
  std::vector<int64_t> windows;
  for (int64_t k = 0; k < config.num_hidden_layers; ++k) {
    const bool sliding = layers[static_cast<size_t>(k)];
    if (sliding && length == 0) fail_key(root, "layer_types", fmt::format("layer {} slides without a window: sliding_window expected", k));
    windows.push_back(sliding && length < config.max_position_embeddings ? length : 0);
  }
  return windows;
}

std::vector<int64_t> equal_windows(const JsonValue& root, const ModelConfig& config) {
  return windows_of_all_layers(root, config, set_key(root, "sliding_window") ? int_key(root, "sliding_window", 1, INT32_MAX, 0) : 0);
}

std::vector<int64_t> windows_of_all_layers(const JsonValue& root, const ModelConfig& config, int64_t length) {
  const std::vector<int64_t> windows = layer_windows(root, config, length, [](int64_t) { return true; });
  for (const int64_t window : windows) {
    if (window == 0 && length > 0 && length < config.max_position_embeddings) {
      fail_key(root, "layer_types", fmt::format("the window of {} in all layers expected", length));
    }
  }
  return windows;
}

std::vector<int64_t> full_attention_only(const JsonValue& root, const ModelConfig& config) {
  if (const auto layers = set_key(root, "layer_types")) {
    for (const JsonValue& layer : layers->as_array()) {
      const std::string_view kind = layer.as_string();
      if (kind != "full_attention" && kind != "attention") layer.fail(fmt::format("layers of full_attention expected, got '{}'", kind));
    }
  }
  return std::vector<int64_t>(static_cast<size_t>(config.num_hidden_layers), 0);
}

std::vector<int64_t> qwen_windows(const JsonValue& root, const ModelConfig& config) { return qwen_windows_from(root, config, 28); }

std::vector<int64_t> qwen_windows_from(const JsonValue& root, const ModelConfig& config, int64_t missing) {
  const auto window = root.find("sliding_window");
  const bool has_window = bool_key(root, "use_sliding_window", false) && !(window && window->is_null());
  const int64_t length = has_window ? int_key(root, "sliding_window", 1, INT32_MAX, 4096) : 0;
  const int64_t first = int_key(root, "max_window_layers", INT32_MIN, INT32_MAX, missing);
  return layer_windows(root, config, length, [first](int64_t layer) { return layer >= first; });
}

}  // namespace lazuli
