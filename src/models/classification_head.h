// Defines ClassificationHead, which makes the logits of a text's class from the states of an encoder.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/model_folder.h"
#include "lazuli/encoder.h"
#include "models/activation.h"
#include "nn/attention.h"
#include "nn/norm.h"

namespace lazuli {

/// One dense layer with an activation and maybe a norm, and one that gives a number for each label.
class ClassificationHead {
 public:
  /// Takes the head of `encoder` from the same folder, as transformers' ForSequenceClassification of its architecture has it. Throws
  /// IoError, and FormatError for an architecture without a head that is known, and for tensors that are not there.
  ///
  /// With `new_labels` a folder without a head gets one of so many labels, of random numbers by `seed`. What is not a part of PEFT's
  /// `classifier`, such as BERT's pooler, must be there.
  static ClassificationHead read(ModelFolder& folder, const Encoder& encoder, int64_t new_labels = 0, uint64_t seed = 0);

  int64_t labels() const { return out_.linear.out_size(); }
  bool is_new() const { return new_; }
  /// The tensors of the module `classifier`, which an adapter may replace.
  const std::vector<WholeTensor>& whole() const { return whole_; }
  /// The layers of the whole model as an adapter sees them, by the names that PEFT gives them in it.
  const std::vector<LinearInfo>& linears() const { return linears_; }
  /// states (rows, tokens, hidden) and mask (rows, tokens) bool -> (rows, labels) f32.
  LazyTensor forward(const LazyTensor& states, const LazyTensor& mask, const AdapterContext* adapter) const;

 private:
  /// One of its two layers.
  struct Layer {
    Linear linear;
    std::string name;
    std::optional<size_t> index;  ///< by which an adapter knows its low-rank term
    LazyTensor forward(const LazyTensor& x, DType dtype, const AdapterContext* adapter) const;
  };
  struct Reader;

  Layer dense_, out_;
  DType dtype_ = DType::f32;
  bool new_ = false;
  bool mean_ = false;  ///< pools the mean of the tokens' states; else the first state
  Activation activation_ = nullptr;
  Norm norm_;
  std::vector<WholeTensor> whole_;
  std::vector<LinearInfo> linears_;
};

/// The tensors of a source without those of a classification head, for the encoder, which would say that it does not need them.
std::shared_ptr<const WeightSource> without_head(std::shared_ptr<const WeightSource> source);

/// Labels of a configuration: of its `id2label`, or its `num_labels`, or the two that transformers takes. Throws FormatError.
int64_t label_count(const JsonValue& root);

}  // namespace lazuli
