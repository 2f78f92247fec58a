// Defines Pairs, pairs of texts with which an encoder is trained, and their reading.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lazuli/embed.h"
#include "lazuli/train.h"
#include "train/batches.h"

namespace lazuli {

struct TextPair {
  std::string first, second;
  float score = 0;  ///< the cosine that is wanted; only for PairLoss::scores
};

struct PairSplit {
  PairLoss loss = PairLoss::contrastive;
  std::vector<TextPair> train, validation;
};

/// Rows of a `.jsonl` file, a tenth of them (by `seed`) for validation, or of a folder's `train.jsonl` and `valid.jsonl`: either all
/// {"anchor", "positive"} or all {"sentence1", "sentence2", "score"}. Throws IoError, and FormatError naming the row.
PairSplit read_pairs(const std::string& path, uint64_t seed);

/// Tokenized pairs as batches: ids, mask and pooled of (2 * pairs, tokens), the first texts before the second ones; then their scores.
class Pairs : public Examples {
 public:
  /// Texts are cut to `max_length` tokens. `model` must live as long.
  Pairs(const EmbeddingModel& model, const std::vector<TextPair>& pairs, PairLoss loss, int64_t max_length);
  int64_t count() const override { return static_cast<int64_t>(first_.size()); }
  std::vector<Tensor> batch(std::span<const int64_t> indices) const override;
  std::vector<int64_t> largest_batch(int64_t size) const override;
  int64_t tokens(std::span<const Tensor> batch) const override;

 private:
  const EmbeddingModel& model_;
  PairLoss loss_;
  std::vector<EmbeddingTokens> first_, second_;
  std::vector<float> scores_;
};

}  // namespace lazuli
