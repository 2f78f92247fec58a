// Defines TextModel, a language model with all that its folder says about texts.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "lazuli/model.h"
#include "lazuli/tokenizer.h"

namespace lazuli {

struct GenerationConfig;

/// A language model, its tokenizer, what its generation_config.json asks for, and the tokens that end its texts; each file is read once.
/// Copies share everything.
class TextModel {
 public:
  /// Reads a folder as `load_model` and Tokenizer::load do; errors as there.
  static TextModel open(const std::string& folder, DType dtype = DType::f32, Quantization quantization = Quantization::none);
  /// A model with a tokenizer of its own, and nothing asked for.
  TextModel(std::shared_ptr<const LanguageModel> model, Tokenizer tokenizer);

  ///@{
  /// The parts.
  const std::shared_ptr<const LanguageModel>& model() const { return model_; }
  const ModelInfo& info() const { return model_->info(); }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  const GenerationConfig& generation() const { return *generation_; }
  ///@}

  /// Whether a token ends a text: those that generation_config.json names, else those of config.json, else the tokenizer's.
  bool ends_text(int32_t id) const;
  /// The token that stands behind each document of data: the tokenizer's end of text, else the first that ends a text. Throws FormatError
  /// where there is none.
  int32_t document_end() const;
  /// Throws ValueError, which names the token, where the model has no row for one of the ids. `what` they are of: "the data".
  void require_known(std::span<const int32_t> ids, const std::string& what) const;

 private:
  std::shared_ptr<const LanguageModel> model_;
  Tokenizer tokenizer_;
  std::shared_ptr<const GenerationConfig> generation_;
};

}  // namespace lazuli
