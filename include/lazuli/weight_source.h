// Defines WeightSource, the stored weights of a model whatever files they come from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lazuli/quantized_weight.h"
#include "lazuli/tensor.h"

namespace lazuli {

/// What a source says about one tensor.
struct TensorInfo {
  std::string dtype_name;                      ///< as in the file, for example `BF16` or `Q4_K`
  std::optional<DType> dtype;                  ///< nothing for quantised tensors, and for dtypes that this library does not compute with
  Shape shape;                                 ///< of the numbers, outermost dimension first
  uint64_t offset = 0;                         ///< of the first byte, from the start of the file
  size_t nbytes = 0;                           ///< of the data
  QuantFormatId format = QuantFormatId::none;  ///< of a quantised tensor
};

/// Tensors by their names. Data is a view of mapped files where that is possible.
class WeightSource {
 public:
  virtual ~WeightSource() = default;
  /// In ascending order.
  virtual std::vector<std::string> names() const = 0;
  /// Whether there is a tensor of this name.
  virtual bool contains(std::string_view name) const = 0;
  /// Throws FormatError when there is no such tensor.
  virtual const TensorInfo& info(std::string_view name) const = 0;
  /// The data of a tensor that is not quantised. Throws FormatError when there is no such tensor, DTypeError when its dtype is not
  /// supported.
  virtual Tensor tensor(std::string_view name) const = 0;
  /// The data of a quantised tensor, as it is stored. Throws FormatError when there is none of this name.
  virtual QuantizedWeight quantized(std::string_view name) const = 0;
  /// Where an error in a tensor is: the path of its file; that of the source for a name that is not there.
  virtual const std::string& file_of(std::string_view name) const = 0;
  /// Where an error in the whole is: the one file, or the folder of several.
  virtual const std::string& place() const = 0;
  /// The name of a tensor in its file. It differs from the given one where the source gives out a part of a larger model.
  virtual std::string stored_name(std::string_view name) const { return std::string(name); }
};

}  // namespace lazuli
