// Defines TextModel, a language model with the tokenizer and the generation settings of its folder.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "lazuli/model.h"
#include "lazuli/tokenizer.h"

namespace lazuli {

struct GenerationConfig;

/// A language model, its tokenizer, the settings of its generation_config.json, and its end-of-text tokens. Each file is read once. Copies
/// share everything.
class TextModel {
 public:
  /// Reads a folder as `load_model` and Tokenizer::load do, with the same errors.
  static TextModel open(const std::string& folder, DType dtype = DType::f32, Quantization quantization = Quantization::none);
  /// Combines a model and a tokenizer, without generation settings.
  TextModel(std::shared_ptr<const LanguageModel> model, Tokenizer tokenizer);

  ///@{
  /// The parts.
  const std::shared_ptr<const LanguageModel>& model() const { return model_; }
  const ModelInfo& info() const { return model_->info(); }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  const GenerationConfig& generation() const { return *generation_; }
  ///@}

  /// Whether a token ends a text. Such tokens come from generation_config.json, otherwise from config.json, otherwise from the tokenizer.
  bool ends_text(int32_t id) const;
  /// Returns the token after each document of training data: the tokenizer's end of text, otherwise the first token that ends a text.
  /// Throws FormatError if there is none.
  int32_t document_end() const;
  /// Throws ValueError naming the token if one of the ids is outside the model's vocabulary, or stands for an image or sound. `what`
  /// names the source of the ids: "the data".
  void require_known(std::span<const int32_t> ids, const std::string& what) const;

 private:
  std::shared_ptr<const LanguageModel> model_;
  Tokenizer tokenizer_;
  std::shared_ptr<const GenerationConfig> generation_;
};

}  // namespace lazuli
