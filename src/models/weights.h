// Defines WeightReader, which takes the tensors of a source one by one and checks each against the model's configuration.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lazuli/nn.h"
#include "lazuli/quantize.h"
#include "lazuli/tensor.h"
#include "lazuli/weight_source.h"
#include "quant/policy.h"

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

/// What a checkpoint may hold beside the tensors that a model takes.
struct SpareTensors {
  std::vector<std::string> parts = {""};  ///< beginnings of names inside the model: one that nobody took would change its results
  std::vector<std::string> silent = {};   ///< ends of names that say nothing: what old files kept, and parts that are known and unused
  std::string layers = {};                ///< what names of numbered layers begin with
  int64_t layer_count = 0;                ///< layers from this number on are not the model's
};

/// Where a tensor stands in the files under another name, alone or as rows of a larger one.
struct StoredPart {
  std::string name;
  int64_t row = 0;   ///< first of its rows
  int64_t rows = 0;  ///< of the whole tensor; 0: it is the whole
};

class WeightReader {
 public:
  /// Floats are given out in `dtype`, and weights of layers rounded as `quantization` says. What the source has quantised stays as it is.
  WeightReader(std::shared_ptr<const WeightSource> source, DType dtype, Quantization quantization = Quantization::none);
  /// The tensor, converted if need be. `meaning` names the hyper-parameters behind the shape. Throws FormatError naming the file, the
  /// tensor and the expected shape.
  Tensor take(const std::string& name, const Shape& shape, std::string_view meaning);
  /// The layer with the weight (out, in) and, where its name is not empty, the bias (out) of these names.
  Linear linear(const std::string& weight, const std::string& bias, int64_t out, int64_t in, std::string_view meaning,
                WeightRole role = WeightRole::layer);
  /// A table of shape (rows, size), as an embedding and, where `output` is given, as the layer that makes logits of it.
  Embedding embedding(const std::string& name, const Shape& shape, std::string_view meaning, Linear* output = nullptr);
  /// The layer that makes logits by a table of its own.
  Linear output(const std::string& name, const Shape& shape, std::string_view meaning);
  ///@{
  /// The matrices of a layer's experts as one tensor of floats, which stay floats where weights are rounded: stored as one, or one after
  /// the other, each of shape `each`; the result is then (names, each...).
  Tensor experts(const std::string& stacked, const Shape& shape, std::string_view meaning);
  Tensor experts(const std::vector<std::string>& names, const Shape& each, std::string_view meaning);
  ///@}
  /// The tensor as it lies in the file: of a float dtype, or with `bytes` of u8.
  Tensor in_file(const std::string& name, const Shape& shape, std::string_view meaning, bool bytes = false);
  /// The tensor in f32, whatever the model's dtype is.
  Tensor in_f32(const std::string& name, const Shape& shape, std::string_view meaning);
  /// Tells of weights that stay floats where others are rounded.
  void keep_floats(const std::string& name);
  bool contains(std::string_view name) const;
  /// From now on `name` means that part of the files.
  void rename(const std::string& name, StoredPart part) { renamed_[name] = std::move(part); }
  /// What `name` was made to mean; a part without a name if nothing.
  const StoredPart& origin(const std::string& name) const;
  /// Whether both are there and hold the same.
  bool same(const std::string& one, const std::string& other) const;
  /// Counts a tensor as taken that repeats another.
  void leave(const std::string& name) { taken_.insert(name); }
  /// Names of all tensors that begin with none of `parts`, at most `most`.
  std::vector<std::string> names_outside(const std::vector<std::string>& parts, size_t most) const;
  /// Tells how many tensors nobody took. Throws FormatError naming one inside the model's own parts.
  void finish(const SpareTensors& spare) const;
  ///@{
  /// What PEFT's names of layers begin with in place of `model.`, where the model is a part of a larger one.
  void name_modules(std::string head) { module_head_ = std::move(head); }
  std::string module_path(const std::string& path) const;
  ///@}
  /// The name of a tensor in the file.
  std::string stored_name(std::string_view name) const { return source_->stored_name(name); }
  /// The file, or the folder of several, for messages.
  const std::string& place() const { return source_->place(); }
  DType dtype() const { return dtype_; }
  Quantization quantization() const { return policy_.asked(); }
  /// Numbers in all tensors taken so far.
  int64_t count() const { return count_; }

 private:
  /// Checks a tensor and counts it as taken; its data as it lies in the file.
  Tensor stored(const std::string& name, const Shape& shape, std::string_view meaning);
  /// Takes the right side of products.
  Tensor matrix(const std::string& name, const Shape& shape, std::string_view meaning);
  /// Checks that a tensor, or a larger one that it is a part of, is there, and counts it as taken.
  const TensorInfo& checked(const std::string& name, const Shape& shape, std::string_view meaning);
  /// Takes a weight that the source has quantised, or that the policy rounds.
  QuantizedWeight quantized(const std::string& name, const Shape& shape, std::string_view meaning, WeightRole role);
  bool is_quantized(const std::string& name, WeightRole role) const;
  /// Throws OutOfMemory where all weights together need more than there may be.
  void require_room() const;

  std::shared_ptr<const WeightSource> source_;
  DType dtype_;
  QuantPolicy policy_;
  std::set<std::string, std::less<>> taken_;
  std::map<std::string, StoredPart, std::less<>> renamed_;
  int64_t count_ = 0;
  std::vector<std::string> floats_;  ///< weights of experts that stay as they are where others are rounded
  std::string module_head_;
  std::vector<std::string> eight_bits_;  ///< weights that the wanted blocks do not fit
};

/// The dtype of most of the weights among f32, bf16 and f16; f32 where there are none of these. A model mapped in it takes no memory of its
/// own.
DType stored_dtype(const WeightSource& source);

}  // namespace lazuli
