// Implements Checkpoint: one safetensors file or the shards of an index.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/json.h"
#include "io/model_files.h"
#include "lazuli/error.h"
#include "lazuli/safetensors.h"

namespace lazuli {

namespace fs = std::filesystem;

namespace {

/// Shards lie in the folder of their index. The links inside the folder are the user's own (model caches consist of them)
/// and may lead anywhere; the text of the index may not.
bool inside_folder(std::string_view name) {
  if (name.empty() || name.find('\0') != std::string_view::npos) return false;
  const fs::path path(name);
  return path.is_relative() && std::find(path.begin(), path.end(), "..") == path.end();
}

}  // namespace

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

void Checkpoint::add_shards(const std::string& folder, const std::string& index) {
  const JsonDocument document = JsonDocument::read(index);
  std::map<std::string, size_t, std::less<>> opened;
  for (const JsonMember& entry : document.root().get("weight_map").as_object()) {
    const std::string_view shard = entry.value.as_string();
    if (!inside_folder(shard)) entry.value.fail(fmt::format("a file inside the folder expected, got '{}'", shard));
    auto place = opened.find(shard);
    if (place == opened.end()) {
      const std::string path = (fs::path(folder) / shard).string();
      std::error_code ignored;
      if (!fs::exists(path, ignored)) {
        throw IoError(fmt::format("{}: {}: the file {} is listed and not there", index, entry.value.place(), shard));
      }
      files_.push_back(SafetensorsFile::open(path));
      place = opened.emplace(shard, files_.size() - 1).first;
    }
    if (!files_[place->second].contains(entry.key)) {
      entry.value.fail(fmt::format("tensor '{}' expected in {}, which has none of that name", entry.key, shard));
    }
    if (!file_with_.emplace(entry.key, place->second).second) entry.value.fail(fmt::format("tensor '{}' occurs twice", entry.key));
  }
  // What the index does not list is in the model, too.
  for (size_t file = 0; file < files_.size(); ++file) {
    for (std::string& name : files_[file].names()) file_with_.emplace(std::move(name), file);
  }
}

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
