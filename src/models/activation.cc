#include "models/activation.h"

#include <fmt/format.h>

#include <utility>

namespace lazuli {

Activation activation_named(const JsonValue& root, std::string_view key, std::string_view name) {
  static constexpr std::pair<std::string_view, Activation> table[] = {{"silu", silu},
                                                                      {"swish", silu},
                                                                      {"gelu", gelu},
                                                                      {"gelu_python", gelu},
                                                                      {"gelu_new", gelu_tanh},
                                                                      {"gelu_pytorch_tanh", gelu_tanh},
                                                                      {"gelu_fast", gelu_tanh},
                                                                      {"gelu_accurate", gelu_tanh},
                                                                      {"gelu_python_tanh", gelu_tanh},
                                                                      {"relu", relu}};
  for (const auto& [known, function] : table) {
    if (known == name) return function;
  }
  fail_key(root, key, fmt::format("silu, gelu, gelu_pytorch_tanh or relu expected, got '{}'", name));
}

Activation activation_of(const ModelConfig& config) {
  return activation_named(config.json->root(), config.activation_key, config.hidden_act);
}

}  // namespace lazuli
