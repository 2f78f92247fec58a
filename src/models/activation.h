// Declares the activation functions that configurations name.
#pragma once

#include <string_view>

#include "io/model_config.h"
#include "lazuli/ops.h"

namespace lazuli {

using Activation = LazyTensor (*)(const LazyTensor&, Where);

/// The function that `hidden_act` names. Throws FormatError for an unknown name.
Activation activation_of(const ModelConfig& config);

/// The function `name`, which errors find under `key`. Throws FormatError for an unknown one.
Activation activation_named(const JsonValue& root, std::string_view key, std::string_view name);

}  // namespace lazuli
