// Defines the registries of architectures, one of decoders and one of encoders: each file of a model enters itself by its `model_type`.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "io/model_config.h"
#include "lazuli/encoder.h"
#include "lazuli/model.h"
#include "models/weights.h"

namespace lazuli {

template <class Model>
using MakeModel = std::shared_ptr<const Model> (*)(const ModelConfig& config, const std::string& folder, WeightReader& weights);

/// A static object of this type enters an architecture when the program starts.
struct RegisterArchitecture {
  RegisterArchitecture(std::string_view model_type, MakeModel<LanguageModel> make);
  RegisterArchitecture(std::string_view model_type, MakeModel<Encoder> make);
};

}  // namespace lazuli
