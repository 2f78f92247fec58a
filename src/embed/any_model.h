// Defines AnyModel, a language model or an encoder with what makes embeddings of it, for what can be done with either.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>

#include "io/model_folder.h"
#include "lazuli/embed.h"
#include "lazuli/model.h"

namespace lazuli {

class AnyModel {
 public:
  AnyModel(std::shared_ptr<const LanguageModel> model) : language_(std::move(model)) {}
  AnyModel(std::shared_ptr<const EmbeddingModel> model) : embedding_(std::move(model)) {}
  /// What the folder holds. Throws IoError and FormatError.
  static AnyModel load(const std::string& path, DType dtype = DType::f32, Quantization quantization = Quantization::none);
  static AnyModel load(ModelFolder& folder, DType dtype, Quantization quantization);

  /// One of these two is null.
  const std::shared_ptr<const LanguageModel>& language() const { return language_; }
  const std::shared_ptr<const EmbeddingModel>& embedding() const { return embedding_; }

  const ModelInfo& info() const { return language_ ? language_->info() : embedding_->encoder().info(); }
  /// The linear layers that an adapter can change.
  std::span<const LinearInfo> linears() const { return language_ ? language_->linears() : embedding_->encoder().linears(); }
  /// Tokens of the longest text; 0: any number.
  int64_t context() const { return language_ ? language_->info().context : embedding_->max_seq_length(); }

 private:
  std::shared_ptr<const LanguageModel> language_;
  std::shared_ptr<const EmbeddingModel> embedding_;
};

}  // namespace lazuli
