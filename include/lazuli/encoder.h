// Defines Encoder, a transformer that reads a whole text at once, and how one is loaded from a folder.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lazuli/model.h"

namespace lazuli {

/// What one recording of an encoder's pass reads. Rows are texts, padded at the end to the same length.
struct EncoderInputs {
  LazyTensor ids;                           ///< (batch, tokens) i32
  LazyTensor mask;                          ///< (batch, tokens) bool: false where a row is padding; true at least once in a row
  const AdapterContext* adapter = nullptr;  ///< null: the model alone
};

/// What one recording of a pass over texts without filling reads: rows are tokens, text after text.
struct PackedInputs {
  LazyTensor ids;                           ///< (tokens) i32
  LazyTensor positions;                     ///< (tokens) i32: of each token in its text, from 0 on
  LazyTensor starts;                        ///< (texts + 1) i32: from 0 on, where each text starts and the last ends
  const AdapterContext* adapter = nullptr;  ///< null: the model alone
};

/// A model that gives the tokens of whole texts states.
class Encoder : public TransformerModel {
 public:
  /// States of the last layer, (batch, tokens, hidden_size). What a row gets does not depend on the others, nor on what it is filled with.
  /// Throws ShapeError for other inputs and for more tokens than the model has positions.
  virtual LazyTensor hidden(const EncoderInputs& inputs) const = 0;
  /// Whether hidden_packed is there.
  virtual bool packs() const { return false; }
  /// The same for packed texts, (tokens, hidden_size); has no gradient. States of tokens after the last text are to be ignored. Throws
  /// ShapeError for other inputs, ValueError where the architecture cannot.
  virtual LazyTensor hidden_packed(const PackedInputs& inputs) const;
};

/// Loads a folder as `load_model` does; `dtype`, `quantization` and errors as there.
std::shared_ptr<const Encoder> load_encoder(const std::string& folder, DType dtype = DType::f32,
                                            Quantization quantization = Quantization::none);

/// The architectures that are built in, by `model_type`.
std::vector<std::string> encoder_architectures();

}  // namespace lazuli
