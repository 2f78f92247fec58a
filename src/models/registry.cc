// Implements the registry of architectures and the loading of models.
#include "models/registry.h"

#include <fmt/format.h>

#include <filesystem>
#include <map>

#include "lazuli/error.h"

namespace lazuli {

namespace {

// A function's static: it exists whenever the first file enters itself.
std::map<std::string, MakeModel, std::less<>>& registry() {
  static std::map<std::string, MakeModel, std::less<>> entries;
  return entries;
}

}  // namespace

RegisterArchitecture::RegisterArchitecture(std::string_view model_type, MakeModel make) { registry().emplace(model_type, make); }

std::vector<std::string> architectures() {
  std::vector<std::string> names;
  for (const auto& [name, make] : registry()) names.push_back(name);
  return names;
}

std::shared_ptr<const LanguageModel> load_model(const std::string& folder, DType dtype) {
  const std::string config_path = (std::filesystem::path(folder) / "config.json").string();
  const ModelConfig config = ModelConfig::read(config_path);
  const auto entry = registry().find(config.model_type);
  if (entry == registry().end()) {
    throw FormatError(
        fmt::format("{}: $.model_type: one of {} expected, got '{}'", config_path, fmt::join(architectures(), ", "), config.model_type));
  }
  WeightReader weights(folder, dtype);
  return entry->second(config, folder, weights);
}

}  // namespace lazuli
