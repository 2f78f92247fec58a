#include "models/activation.h"

#include <fmt/format.h>

#include <utility>

namespace lazuli {

Activation activation_of(const ModelConfig& config, std::string_view fallback) {
  static constexpr std::pair<std::string_view, Activation> table[] = {
      {"silu", silu}, {"swish", silu}, {"gelu", gelu}, {"gelu_pytorch_tanh", gelu_tanh}, {"gelu_new", gelu_tanh}, {"relu", relu}};
  const JsonValue root = config.json->root();
  const std::string chosen = root.string_or("hidden_act", fallback);
  for (const auto& [name, function] : table) {
    if (name == chosen) return function;
  }
  root.get("hidden_act").fail(fmt::format("silu, gelu, gelu_pytorch_tanh or relu expected, got '{}'", chosen));
}

}  // namespace lazuli
