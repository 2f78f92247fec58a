// Implements the reading of what a model's folder holds.
#include "models/model_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/json.h"
#include "io/model_config.h"
#include "io/model_files.h"
#include "lazuli/encoder.h"
#include "lazuli/error.h"

namespace lazuli {

namespace {

namespace fs = std::filesystem;

constexpr size_t kListLimit = size_t{16} << 20;

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

std::vector<ModuleEntry> read_list(const fs::path& path) {
  const JsonDocument document = JsonDocument::read(path.string(), kListLimit);
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
  const fs::path list = own.parent_path() / "modules.json";
  if (!fs::is_directory(own, ignored) || !fs::exists(list, ignored)) return;
  for (const ModuleEntry& entry : read_list(list)) {
    if (entry.kind == "Transformer" || fs::path(entry.path).filename() != own.filename()) continue;
    throw IoError(fmt::format("{}: the folder holds the module {} of a model; that is one folder above, in {}", folder, entry.kind,
                              own.parent_path().string()));
  }
}

}  // namespace

std::vector<ModuleEntry> read_module_list(const std::string& folder) {
  const fs::path path = fs::path(folder) / "modules.json";
  std::error_code ignored;
  if (fs::exists(path, ignored)) return read_list(path);
  refuse_module_folder(folder);
  return {};
}

std::string transformer_folder(const std::string& folder) {
  const std::vector<ModuleEntry> modules = read_module_list(folder);
  return modules.empty() || modules[0].path.empty() ? folder : (fs::path(folder) / modules[0].path).string();
}

bool holds_encoder(const std::string& folder) {
  const JsonDocument document = read_config_json(require_model_file(transformer_folder(folder), "config.json"));
  const std::vector<std::string> known = encoder_architectures();
  return std::find(known.begin(), known.end(), model_type_of(document)) != known.end();
}

DType stored_dtype(const Checkpoint& checkpoint) {
  std::map<DType, size_t> bytes;
  for (const std::string& name : checkpoint.names()) {
    const TensorInfo& info = checkpoint.info(name);
    if (info.dtype && is_float(*info.dtype) && *info.dtype != DType::f64) bytes[*info.dtype] += info.nbytes;
  }
  const auto most = std::max_element(bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == bytes.end() ? DType::f32 : most->first;
}

}  // namespace lazuli
