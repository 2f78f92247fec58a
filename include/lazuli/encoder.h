// Defines Encoder, a transformer that reads a complete text at once, and how one is loaded from a folder.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lazuli/model.h"

namespace lazuli {

/// The inputs of one forward pass of an encoder. Rows are texts, padded at the end to the same length.
struct EncoderInputs {
  LazyTensor ids;                           ///< (batch, tokens) i32
  LazyTensor mask;                          ///< (batch, tokens) bool: false at padding; true at least once in each row
  const AdapterContext* adapter = nullptr;  ///< null: the model alone
  /// (batch, tokens) i32: the kind of text that a token belongs to, such as 1 in the second text of a pair. All are of the first kind if it
  /// is not defined, or if the architecture knows no kinds.
  LazyTensor types = {};
};

/// The inputs of one forward pass over packed texts. Rows are tokens, text after text, without padding.
struct PackedInputs {
  LazyTensor ids;                           ///< (tokens) i32
  LazyTensor positions;                     ///< (tokens) i32: the position of each token in its text, from 0 on
  LazyTensor starts;                        ///< (texts + 1) i32: from 0 on, where each text starts, and where the last one ends
  const AdapterContext* adapter = nullptr;  ///< null: the model alone
};

/// A model that computes the states of all tokens of a text at once.
class Encoder : public TransformerModel {
 public:
  /// Records the states of the last layer, (batch, tokens, hidden_size). A row depends neither on the other rows nor on its padding. Throws
  /// ShapeError for other inputs and for more tokens than the model has positions.
  virtual LazyTensor hidden(const EncoderInputs& inputs) const = 0;
  /// Whether the architecture supports hidden_packed.
  virtual bool packs() const { return false; }
  /// Records the states of packed texts, (tokens, hidden_size). They have no gradient. States of tokens after the last text are to be
  /// ignored. Throws ShapeError for other inputs, and ValueError if the architecture does not support packed texts.
  virtual LazyTensor hidden_packed(const PackedInputs& inputs) const;
};

/// Loads a folder as `load_model` does. `dtype`, `quantization` and errors are the same as there.
std::shared_ptr<const Encoder> load_encoder(const std::string& folder, DType dtype = DType::f32,
                                            Quantization quantization = Quantization::none);

/// Returns the architectures that are built in, by `model_type`.
std::vector<std::string> encoder_architectures();

}  // namespace lazuli
