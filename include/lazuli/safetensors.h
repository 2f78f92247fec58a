// Defines reading and writing of safetensors files, and checkpoints of one or several files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lazuli/tensor.h"
#include "lazuli/weight_source.h"

namespace lazuli {

/// One safetensors file, mapped into memory and checked in full against the format when opened.
/// The file must not be shortened while it or a tensor of it is in use.
class SafetensorsFile {
 public:
  /// Opens a file. Throws IoError if it cannot be read and FormatError if it does not follow the format.
  static SafetensorsFile open(const std::string& path);

  /// The path that was opened.
  const std::string& path() const { return path_; }
  /// Returns the names of all tensors in ascending order.
  std::vector<std::string> names() const;
  /// Whether there is a tensor of this name.
  bool contains(std::string_view name) const { return tensors_.find(name) != tensors_.end(); }
  /// Returns the header entry of a tensor. Throws FormatError if the file has no such tensor.
  const TensorInfo& info(std::string_view name) const;
  /// Returns the data: a view of the mapped file if its alignment allows that, otherwise a copy. Writing to it never changes the file.
  /// Throws FormatError if there is no such tensor, DTypeError if its dtype is not supported.
  Tensor tensor(std::string_view name) const;
  /// The entries of the header's `__metadata__`.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  std::string path_;
  BufferRef data_;
  std::map<std::string, TensorInfo, std::less<>> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// All tensors of a model: `model.safetensors`, or the shards that `model.safetensors.index.json` lists.
class Checkpoint : public WeightSource {
 public:
  /// Opens a folder or one safetensors file. Throws IoError or FormatError. Shards outside the folder are refused.
  static Checkpoint open(const std::string& path);

  ///@{
  /// See WeightSource; info and tensor throw as SafetensorsFile does.
  std::vector<std::string> names() const override;
  bool contains(std::string_view name) const override { return file_with_.find(name) != file_with_.end(); }
  const TensorInfo& info(std::string_view name) const override { return file(name).info(name); }
  Tensor tensor(std::string_view name) const override { return file(name).tensor(name); }
  QuantizedWeight quantized(std::string_view name) const override;
  const std::string& file_of(std::string_view name) const override { return contains(name) ? file(name).path() : path_; }
  const std::string& place() const override { return files_.size() == 1 ? files_[0].path() : path_; }
  ///@}
  /// The files of the checkpoint.
  const std::vector<SafetensorsFile>& files() const { return files_; }

 private:
  const SafetensorsFile& file(std::string_view name) const;
  void add_file(const std::string& path);
  void add_shards(const std::string& folder, const std::string& index);

  std::string path_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, size_t, std::less<>> file_with_;
};

/// Writes the tensors to `path`, atomically, in the order and layout of the reference implementation. Throws IoError. Throws ValueError for
/// names that the format reserves.
void save_safetensors(const std::string& path, const std::map<std::string, Tensor>& tensors,
                      const std::map<std::string, std::string>& metadata = {});

}  // namespace lazuli
