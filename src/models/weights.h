// Defines WeightReader, which takes the tensors of a checkpoint one by one and checks each against the model's configuration.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "lazuli/nn.h"
#include "lazuli/quantize.h"
#include "lazuli/safetensors.h"
#include "lazuli/tensor.h"

namespace lazuli {

/// While one lives, rounded weights that its thread loads have memory but no values: plans need no more.
class WithoutValues {
 public:
  WithoutValues();
  ~WithoutValues();
  WithoutValues(const WithoutValues&) = delete;
  WithoutValues& operator=(const WithoutValues&) = delete;

 private:
  bool before_;
};

class WeightReader {
 public:
  /// `folder` has the safetensors files; tensors are given out in `dtype`, and weights of layers as `quantization` says.
  WeightReader(const std::string& folder, DType dtype, Quantization quantization = Quantization::none);
  /// The tensor, converted if need be. `meaning` names the hyper-parameters behind the shape. Throws FormatError naming the file, the
  /// tensor and the expected shape.
  Tensor take(const std::string& name, const Shape& shape, std::string_view meaning);
  /// The layer with the weight (out, in) and, where its name is not empty, the bias (out) of these names.
  /// `sensitive`: it keeps 8 bits where others get 4.
  Linear linear(const std::string& weight, const std::string& bias, int64_t out, int64_t in, std::string_view meaning,
                bool sensitive = false);
  /// A table of shape (rows, size), as an embedding and, where `output` is given, as the layer that makes logits of it.
  Embedding embedding(const std::string& name, const Shape& shape, std::string_view meaning, Linear* output = nullptr);
  /// The layer that makes logits by a table of its own.
  Linear output(const std::string& name, const Shape& shape, std::string_view meaning);
  bool contains(std::string_view name) const { return checkpoint_.contains(name); }
  /// Throws FormatError naming a tensor that nobody took. Those that end in one of `ignored` may stay.
  void finish(std::initializer_list<std::string_view> ignored) const;
  DType dtype() const { return dtype_; }
  Quantization quantization() const { return quantization_; }
  /// Numbers in all tensors taken so far.
  int64_t count() const { return count_; }

 private:
  /// Checks a tensor and counts it as taken; its data as it lies in the file.
  Tensor stored(const std::string& name, const Shape& shape, std::string_view meaning);
  /// Takes the right side of products.
  Tensor matrix(const std::string& name, const Shape& shape, std::string_view meaning);
  QuantizedWeight rounded(const std::string& name, const Shape& shape, std::string_view meaning, int bits);
  const std::string& file_of(std::string_view name) const;
  /// Throws OutOfMemory where all weights together need more than there may be.
  void require_room() const;

  Checkpoint checkpoint_;
  std::string folder_;
  DType dtype_;
  Quantization quantization_;
  std::set<std::string, std::less<>> taken_;
  int64_t count_ = 0;
};

}  // namespace lazuli
