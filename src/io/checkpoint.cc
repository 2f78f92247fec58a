// Implements Checkpoint: one safetensors file or the shards of an index.
#include <fmt/format.h>

#include <filesystem>

#include "io/model_files.h"
#include "io/shards.h"
#include "lazuli/error.h"
#include "lazuli/safetensors.h"

namespace lazuli {

namespace fs = std::filesystem;

Checkpoint Checkpoint::open(const std::string& path) {
  Checkpoint c;
  c.path_ = path;
  std::error_code ignored;
  const bool is_file = fs::exists(path, ignored) ? !fs::is_directory(path, ignored) : fs::path(path).extension() == ".safetensors";
  if (is_file) {
    c.add_file(path);
    return c;
  }
  const std::string single = (fs::path(path) / "model.safetensors").string();
  const std::string index = single + ".index.json";
  if (fs::exists(single, ignored) || !fs::exists(index, ignored)) {
    c.add_file(require_model_file(path, "model.safetensors"));
  } else {
    c.add_shards(path, index);
  }
  return c;
}

void Checkpoint::add_file(const std::string& path) {
  files_.push_back(SafetensorsFile::open(path));
  for (std::string& name : files_.back().names()) file_with_.emplace(std::move(name), files_.size() - 1);
}

void Checkpoint::add_shards(const std::string& folder, const std::string& index) { open_shards(folder, index, files_, file_with_); }

std::vector<std::string> Checkpoint::names() const {
  std::vector<std::string> names;
  names.reserve(file_with_.size());
  for (const auto& [name, file] : file_with_) names.push_back(name);
  return names;
}

const SafetensorsFile& Checkpoint::file(std::string_view name) const {
  const auto found = file_with_.find(name);
  if (found == file_with_.end()) throw FormatError(fmt::format("{}: tensor '{}' expected", path_, name));
  return files_[found->second];
}

QuantizedWeight Checkpoint::quantized(std::string_view name) const {
  throw FormatError(fmt::format("{}: tensor '{}': a quantised tensor expected, got {}", file_of(name), name, info(name).dtype_name));
}

}  // namespace lazuli
