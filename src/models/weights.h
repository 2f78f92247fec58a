// Defines WeightReader, which takes the tensors of a checkpoint one by one and checks each against the model's configuration.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "lazuli/safetensors.h"
#include "lazuli/tensor.h"

namespace lazuli {

class WeightReader {
 public:
  /// `folder` has the safetensors files; tensors are given out in `dtype`.
  WeightReader(const std::string& folder, DType dtype);
  /// The tensor, converted if need be. `meaning` names the hyper-parameters behind the shape. Throws FormatError naming the file, the
  /// tensor and the expected shape.
  Tensor take(const std::string& name, const Shape& shape, std::string_view meaning);
  bool contains(std::string_view name) const { return checkpoint_.contains(name); }
  /// Throws FormatError naming a tensor that nobody took. Those that end in one of `ignored` may stay.
  void finish(std::initializer_list<std::string_view> ignored) const;
  DType dtype() const { return dtype_; }
  /// Numbers in all tensors taken so far.
  int64_t count() const { return count_; }

 private:
  const std::string& file_of(std::string_view name) const;
  /// Throws OutOfMemory where all weights together need more than there may be.
  void require_room() const;

  Checkpoint checkpoint_;
  std::string folder_;
  DType dtype_;
  std::set<std::string, std::less<>> taken_;
  int64_t count_ = 0;
};

}  // namespace lazuli
