// Defines ClassificationHead, which makes the logits of a text's class from the states of an encoder.
#pragma once

#include <cstdint>
#include <memory>
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
  static ClassificationHead read(ModelFolder& folder, const Encoder& encoder);

  int64_t labels() const { return out_.out_size(); }
  /// The layers of the encoder as an adapter sees them: its pooler among those that count, where the head uses it.
  const std::vector<LinearInfo>& linears() const { return linears_; }
  /// states (rows, tokens, hidden) and mask (rows, tokens) bool -> (rows, labels) f32.
  LazyTensor forward(const LazyTensor& states, const LazyTensor& mask, const AdapterContext* adapter) const;

 private:
  LazyTensor dense(const LazyTensor& x, const AdapterContext* adapter) const;

  AdaptedLinear dense_;
  bool adapted_ = false;  ///< whether an adapter knows the dense layer
  bool mean_ = false;     ///< pools the mean of the tokens' states; else the first state
  Activation activation_ = nullptr;
  Norm norm_;
  Linear out_;
  std::vector<LinearInfo> linears_;
};

/// The tensors of a source without those of a classification head, for the encoder, which would say that it does not need them.
std::shared_ptr<const WeightSource> without_head(std::shared_ptr<const WeightSource> source);

/// Labels of a configuration: of its `id2label`, or its `num_labels`, or the two that transformers takes. Throws FormatError.
int64_t label_count(const JsonValue& root);

}  // namespace lazuli
