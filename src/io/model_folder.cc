// Implements ModelFolder.
#include "io/model_folder.h"

#include <filesystem>
#include <utility>

#include "io/hub_cache.h"
#include "io/model_files.h"
#include "io/torch_checkpoint.h"

namespace lazuli {

namespace fs = std::filesystem;

ModelFolder::ModelFolder(const std::string& path) : path_(find_model_folder(path)) {}

std::string ModelFolder::path_of(std::string_view name) const { return (fs::path(path_) / name).string(); }

bool ModelFolder::has(std::string_view name) const {
  std::error_code ignored;
  return fs::exists(path_of(name), ignored);
}

std::shared_ptr<const JsonDocument> ModelFolder::find(std::string_view name, size_t max_bytes) {
  return documents_.contains(name) || has(name) ? require(name, max_bytes) : nullptr;
}

std::shared_ptr<const JsonDocument> ModelFolder::require(std::string_view name, size_t max_bytes) {
  const auto found = documents_.find(name);
  if (found != documents_.end()) return found->second;
  auto document = std::make_shared<const JsonDocument>(JsonDocument::read(require_model_file(path_, name), max_bytes));
  return documents_.emplace(name, std::move(document)).first->second;
}

std::shared_ptr<const Checkpoint> ModelFolder::checkpoint() {
  if (!checkpoint_) checkpoint_ = std::make_shared<const Checkpoint>(Checkpoint::open(path_));
  return checkpoint_;
}

std::shared_ptr<const WeightSource> ModelFolder::weights() {
  if (!weights_) weights_ = checkpoint_ ? checkpoint_ : open_weights(path_);
  return weights_;
}

ModelFolder& ModelFolder::below(const std::string& path) {
  if (path.empty()) return *this;
  std::unique_ptr<ModelFolder>& folder = below_[path];
  if (!folder) folder = std::make_unique<ModelFolder>(path_of(path));
  return *folder;
}

}  // namespace lazuli
