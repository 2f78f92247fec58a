// Defines the registries of architectures, of decoders, encoders and wrappers of decoders: each file of a model enters itself by its
// `model_type`.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/generation_config.h"
#include "io/model_config.h"
#include "io/model_folder.h"
#include "io/text_config.h"
#include "lazuli/encoder.h"
#include "lazuli/model.h"
#include "models/weights.h"

namespace lazuli {

template <class Model>
using MakeModel = std::shared_ptr<const Model> (*)(const ModelConfig& config, const std::string& folder, WeightReader& weights);

/// A static object of this type enters an architecture when the program starts, with what it makes of config.json.
struct RegisterArchitecture {
  RegisterArchitecture(std::string_view model_type, const ConfigRules& rules, MakeModel<LanguageModel> make);
  RegisterArchitecture(std::string_view model_type, const ConfigRules& rules, MakeModel<Encoder> make);
};

/// A static object of this type enters a model of images or sound and text whose text part is one of the decoders.
struct RegisterWrapper {
  RegisterWrapper(std::string_view model_type, const WrapperRules& rules);
};

/// The wrappers that are built in, by `model_type`.
std::vector<std::string> wrapper_architectures();

/// The `model_type` of what is computed: that of the text part where config.json is of a wrapper. Throws FormatError.
std::string computed_model_type(const JsonDocument& config);

/// A language model and what its generation_config.json asks for.
struct LoadedModel {
  std::shared_ptr<const LanguageModel> model;
  GenerationConfig generation;
};
/// As load_model, from a folder that is open.
LoadedModel load_language_model(ModelFolder& folder, DType dtype, Quantization quantization);
/// As load_encoder.
std::shared_ptr<const Encoder> load_encoder(ModelFolder& folder, DType dtype, Quantization quantization);

/// The configuration of a model, by the rules of its architecture; those of generation_config.json beside it where they come before. Throws
/// IoError and FormatError, also for an architecture that is not built in.
ModelConfig read_model_config(const std::string& folder);

}  // namespace lazuli
