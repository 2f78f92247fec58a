// Defines TorchFile, one file that torch.save wrote of a model's weights.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lazuli/tensor.h"
#include "lazuli/weight_source.h"

namespace lazuli {

/// A zip archive of a pickled dict of tensors and their storages, mapped into memory and checked in full when opened. The file must not be
/// shortened while it or a tensor of it is in use.
class TorchFile {
 public:
  /// Throws IoError. Throws FormatError for what is no such file, also for one of the layout before PyTorch 1.6, and for pickles of
  /// anything but tensors.
  static TorchFile open(const std::string& path);

  const std::string& path() const { return path_; }
  std::vector<std::string> names() const;
  bool contains(std::string_view name) const { return tensors_.find(name) != tensors_.end(); }
  /// Throws FormatError when there is no such tensor.
  const TensorInfo& info(std::string_view name) const;
  /// A view of the mapped file where the tensor is row-major and aligned, otherwise a copy. Throws FormatError when there is no such
  /// tensor, DTypeError when its dtype is not supported.
  Tensor tensor(std::string_view name) const;

 private:
  struct Entry {
    TensorInfo info;
    Strides strides;  ///< in elements
  };
  const Entry& entry(std::string_view name) const;
  friend class TorchFileReader;

  std::string path_;
  BufferRef data_;
  std::map<std::string, Entry, std::less<>> tensors_;
};

}  // namespace lazuli
