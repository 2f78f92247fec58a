// Declares the reading of a pickled state dict: an allow-list of the instructions that torch writes, which can name tensors and do nothing
// else.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lazuli {

/// A tensor as the pickle describes it; nothing is checked against its storage yet.
struct PickledTensor {
  std::string_view name;
  std::string_view kind;     ///< of the storage: `FloatStorage`
  std::string_view storage;  ///< the name of the storage's file
  int64_t storage_size = 0;  ///< in elements
  int64_t offset = 0;        ///< of the first element, in elements
  std::vector<int64_t> sizes, strides;
};

/// The tensors of a dict by their names. Names point into `pickle`. No code is looked up or run: callables are known by their names, and
/// any but those that make tensors and dicts are refused. Memory grows with the bytes that are read. Throws FormatError naming `path`.
std::vector<PickledTensor> read_pickled_tensors(const std::string& path, std::string_view pickle);

}  // namespace lazuli
