// Implements TorchCheckpoint.
#include "io/torch_checkpoint.h"

#include <fmt/format.h>

#include <filesystem>

#include "io/shards.h"
#include "lazuli/error.h"
#include "lazuli/safetensors.h"

namespace lazuli {

namespace fs = std::filesystem;

namespace {

bool has_file(const std::string& folder, const char* name) {
  std::error_code ignored;
  return fs::exists(fs::path(folder) / name, ignored);
}

constexpr const char* kFile = "pytorch_model.bin";
constexpr const char* kIndex = "pytorch_model.bin.index.json";

}  // namespace

bool TorchCheckpoint::is_in(const std::string& folder) { return has_file(folder, kFile) || has_file(folder, kIndex); }

TorchCheckpoint TorchCheckpoint::open(const std::string& path) {
  TorchCheckpoint c;
  c.path_ = path;
  std::error_code ignored;
  if (fs::is_directory(path, ignored) && !has_file(path, kFile)) {
    open_shards(path, (fs::path(path) / kIndex).string(), c.files_, c.file_with_);
    return c;
  }
  c.files_.push_back(TorchFile::open(fs::is_directory(path, ignored) ? (fs::path(path) / kFile).string() : path));
  for (std::string& name : c.files_[0].names()) c.file_with_.emplace(std::move(name), 0);
  return c;
}

std::vector<std::string> TorchCheckpoint::names() const {
  std::vector<std::string> names;
  names.reserve(file_with_.size());
  for (const auto& [name, file] : file_with_) names.push_back(name);
  return names;
}

const TorchFile& TorchCheckpoint::file(std::string_view name) const {
  const auto found = file_with_.find(name);
  if (found == file_with_.end()) throw FormatError(fmt::format("{}: tensor '{}' expected", path_, name));
  return files_[found->second];
}

QuantizedWeight TorchCheckpoint::quantized(std::string_view name) const {
  throw FormatError(fmt::format("{}: tensor '{}': a quantised tensor expected, got {}", file_of(name), name, info(name).dtype_name));
}

std::shared_ptr<const WeightSource> open_weights(const std::string& folder) {
  const bool safetensors = has_file(folder, "model.safetensors") || has_file(folder, "model.safetensors.index.json");
  if (!safetensors && TorchCheckpoint::is_in(folder)) return std::make_shared<const TorchCheckpoint>(TorchCheckpoint::open(folder));
  return std::make_shared<const Checkpoint>(Checkpoint::open(folder));
}

}  // namespace lazuli
