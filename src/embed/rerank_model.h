// Declares the kinds of RerankModel, and what they share.
#pragma once

#include <algorithm>
#include <memory>
#include <string>

#include "embed/cross_encoder_settings.h"
#include "lazuli/rerank.h"
#include "lazuli/tokenizer.h"

namespace lazuli {

/// A RerankModel with its tokenizer and the settings of its folder.
class PairModel : public RerankModel {
 public:
  int64_t max_length() const override { return max_length_; }
  PairTokens tokenize_text(std::string_view text, int64_t most) const override;
  const std::string& prompt(const std::string& name) const override;
  LazyTensor scores(const LazyTensor& logits) const override;
  LazyTensor probabilities(const LazyTensor& logits) const override;

 protected:
  int64_t at_most(int64_t most) const { return most > 0 ? std::min(most, max_length_) : max_length_; }
  PairModel(CrossEncoderSettings settings, Tokenizer tokenizer, int64_t max_length);
  const CrossEncoderSettings& settings() const { return settings_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  /// The ids of both texts as the tokenizer's template joins them, cut to `most`.
  PairTokens join(const std::string& first, std::string_view second, int64_t most) const;

 private:
  CrossEncoderSettings settings_;
  Tokenizer tokenizer_;
  int64_t max_length_;
};

/// An encoder with a classification head.
std::shared_ptr<const RerankModel> load_classifier(ModelFolder& folder, CrossEncoderSettings settings, DType dtype,
                                                   Quantization quantization, const NewHead& head);
/// A decoder whose logits of one or two tokens, after the pair, are the score.
std::shared_ptr<const RerankModel> load_judge(ModelFolder& folder, CrossEncoderSettings settings, DType dtype, Quantization quantization,
                                              const NewHead& head);

}  // namespace lazuli
