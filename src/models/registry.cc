// Implements the registries of architectures and the loading of models.
#include "models/registry.h"

#include <fmt/format.h>

#include <filesystem>
#include <map>

#include "io/model_files.h"
#include "lazuli/error.h"

namespace lazuli {

namespace {

template <class Model>
using Registry = std::map<std::string, MakeModel<Model>, std::less<>>;

// A function's static: it exists whenever the first file enters itself.
template <class Model>
Registry<Model>& registry() {
  static Registry<Model> entries;
  return entries;
}

template <class Model>
std::vector<std::string> names() {
  std::vector<std::string> out;
  for (const auto& [name, make] : registry<Model>()) out.push_back(name);
  return out;
}

/// `Other` is the kind of model that the folder may hold by mistake.
template <class Model, class Other>
std::shared_ptr<const Model> load(const std::string& folder, DType dtype, Quantization quantization, std::string_view other) {
  const std::string config_path = require_model_file(folder, "config.json");
  const ModelConfig config = ModelConfig::read(config_path);
  const auto entry = registry<Model>().find(config.model_type);
  if (entry == registry<Model>().end()) {
    const bool mistaken = registry<Other>().contains(config.model_type);
    throw FormatError(fmt::format("{}: $.model_type: one of {} expected, got '{}'{}", config_path, fmt::join(names<Model>(), ", "),
                                  config.model_type, mistaken ? other : ""));
  }
  WeightReader weights(folder, dtype, quantization);
  return entry->second(config, folder, weights);
}

}  // namespace

RegisterArchitecture::RegisterArchitecture(std::string_view model_type, MakeModel<LanguageModel> make) {
  registry<LanguageModel>().emplace(model_type, make);
}
RegisterArchitecture::RegisterArchitecture(std::string_view model_type, MakeModel<Encoder> make) {
  registry<Encoder>().emplace(model_type, make);
}

std::vector<std::string> architectures() { return names<LanguageModel>(); }
std::vector<std::string> encoder_architectures() { return names<Encoder>(); }

std::shared_ptr<const LanguageModel> load_model(const std::string& folder, DType dtype, Quantization quantization) {
  return load<LanguageModel, Encoder>(folder, dtype, quantization, ", an encoder, which makes embeddings and no text");
}

std::shared_ptr<const Encoder> load_encoder(const std::string& folder, DType dtype, Quantization quantization) {
  return load<Encoder, LanguageModel>(folder, dtype, quantization, ", a decoder, which makes text and no embeddings");
}

}  // namespace lazuli
