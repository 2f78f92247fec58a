// Implements the reading of modules.json.
#include "models/module_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/json.h"
#include "io/model_config.h"
#include "lazuli/encoder.h"
#include "lazuli/error.h"

namespace lazuli {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kListName = "modules.json";

ModuleEntry read_entry(const JsonValue& value, size_t place) {
  const std::string type(value.get("type").as_string());
  const fs::path path(std::string(value.get("path").as_string()));
  const bool outside = path.is_absolute() || std::any_of(path.begin(), path.end(), [](const fs::path& part) { return part == ".."; });
  if (outside) value.get("path").fail(fmt::format("a folder inside that of the model expected, got '{}'", path.string()));
  const std::string kind = type.substr(type.rfind('.') + 1);
  static constexpr std::string_view known[] = {"Transformer", "Pooling", "Dense", "Normalize"};
  if (!type.starts_with("sentence_transformers.") || std::find(std::begin(known), std::end(known), kind) == std::end(known)) {
    value.get("type").fail(fmt::format("sentence_transformers' Transformer, Pooling, Dense or Normalize expected, got '{}'", type));
  }
  if ((kind == "Transformer") != (place == 0) || (kind == "Pooling") != (place == 1)) {
    value.get("type").fail(fmt::format("Transformer, Pooling and then Dense or Normalize expected, got {} in place {}", kind, place));
  }
  return {kind, path.string()};
}

std::vector<ModuleEntry> read_list(const JsonDocument& document) {
  std::vector<ModuleEntry> entries;
  for (const JsonValue& value : document.root().as_array()) entries.push_back(read_entry(value, entries.size()));
  if (entries.size() < 2) document.root().fail("a Transformer and a Pooling expected");
  return entries;
}

/// A folder of pooling or of a layer is easily taken for the model's.
void refuse_module_folder(const std::string& folder) {
  std::error_code ignored;
  const fs::path whole = fs::absolute(folder, ignored).lexically_normal();
  const fs::path own = whole.has_filename() ? whole : whole.parent_path();
  if (!fs::is_directory(own, ignored)) return;
  const auto list = ModelFolder(own.parent_path().string()).find(kListName);
  if (!list) return;
  for (const ModuleEntry& entry : read_list(*list)) {
    if (entry.kind == "Transformer" || fs::path(entry.path).filename() != own.filename()) continue;
    throw IoError(fmt::format("{}: the folder holds the module {} of a model; that is one folder above, in {}", folder, entry.kind,
                              own.parent_path().string()));
  }
}

}  // namespace

std::vector<ModuleEntry> read_module_list(ModelFolder& folder) {
  if (const auto list = folder.find(kListName)) return read_list(*list);
  refuse_module_folder(folder.path());
  return {};
}

ModelFolder& transformer_folder(ModelFolder& folder) {
  const std::vector<ModuleEntry> modules = read_module_list(folder);
  return modules.empty() ? folder : folder.below(modules[0].path);
}

bool holds_encoder(ModelFolder& folder) {
  // A decoder in such a folder makes vectors.
  if (!read_module_list(folder).empty()) return true;
  const auto config = folder.require("config.json");
  const std::vector<std::string> known = encoder_architectures();
  return std::find(known.begin(), known.end(), model_type_of(*config)) != known.end();
}

}  // namespace lazuli
