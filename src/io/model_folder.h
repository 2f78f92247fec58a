// Defines ModelFolder, the folder of a model that is open: each of its files is read once, whoever asks for it.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "lazuli/safetensors.h"
#include "lazuli/weight_source.h"

namespace lazuli {

/// Not for several threads at once.
class ModelFolder {
 public:
  /// The most bytes of a file of settings.
  static constexpr size_t kSettingsBytes = size_t{16} << 20;

  /// `path` is a folder, or the name of a model in the hub's cache (see find_model_folder). Reads nothing yet.
  explicit ModelFolder(const std::string& path);
  ModelFolder(const ModelFolder&) = delete;
  ModelFolder& operator=(const ModelFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string path_of(std::string_view name) const;
  bool has(std::string_view name) const;

  /// A file of settings; null where it is not there. Throws IoError and FormatError.
  std::shared_ptr<const JsonDocument> find(std::string_view name, size_t max_bytes = kSettingsBytes);
  /// The same for a file that must be there. Throws IoError that says what is there instead.
  std::shared_ptr<const JsonDocument> require(std::string_view name, size_t max_bytes = kSettingsBytes);

  /// The safetensors files. Throws as Checkpoint::open.
  std::shared_ptr<const Checkpoint> checkpoint();
  ///@{
  /// The weights that a model is made of: the checkpoint, or without one files of torch.save, unless they come from elsewhere. Throws as
  /// open_weights.
  std::shared_ptr<const WeightSource> weights();
  void set_weights(std::shared_ptr<const WeightSource> weights) { weights_ = std::move(weights); }
  ///@}

  /// A folder below this one, which stays open with it; this one itself for an empty path.
  ModelFolder& below(const std::string& path);

 private:
  std::string path_;
  std::map<std::string, std::shared_ptr<const JsonDocument>, std::less<>> documents_;
  std::shared_ptr<const Checkpoint> checkpoint_;
  std::shared_ptr<const WeightSource> weights_;  ///< null: not opened yet
  std::map<std::string, std::unique_ptr<ModelFolder>> below_;
};

}  // namespace lazuli
