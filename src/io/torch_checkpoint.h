// Defines TorchCheckpoint, the weights of a model in files of torch.save.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/torch_file.h"
#include "lazuli/weight_source.h"

namespace lazuli {

/// All tensors of `pytorch_model.bin`, or of the shards that `pytorch_model.bin.index.json` lists.
class TorchCheckpoint : public WeightSource {
 public:
  /// Opens one file, or a folder. Throws IoError and FormatError as TorchFile; shards outside the folder are refused.
  static TorchCheckpoint open(const std::string& path);
  /// Whether a folder has one of both files.
  static bool is_in(const std::string& folder);

  std::vector<std::string> names() const override;
  bool contains(std::string_view name) const override { return file_with_.find(name) != file_with_.end(); }
  const TensorInfo& info(std::string_view name) const override { return file(name).info(name); }
  Tensor tensor(std::string_view name) const override { return file(name).tensor(name); }
  QuantizedWeight quantized(std::string_view name) const override;
  const std::string& file_of(std::string_view name) const override { return contains(name) ? file(name).path() : path_; }
  const std::string& place() const override { return files_.size() == 1 ? files_[0].path() : path_; }

 private:
  const TorchFile& file(std::string_view name) const;

  std::string path_;
  std::vector<TorchFile> files_;
  std::map<std::string, size_t, std::less<>> file_with_;
};

/// The weights in a folder: its safetensors files, or where it has none those of torch.save. Throws as Checkpoint::open.
std::shared_ptr<const WeightSource> open_weights(const std::string& folder);

}  // namespace lazuli
