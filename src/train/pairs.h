// Defines Pairs, pairs of texts in tokens, of which batches are made.
#pragma once

#include <memory>
#include <vector>

#include "lazuli/embed.h"
#include "lazuli/train.h"
#include "train/batches.h"
#include "train/distinct_batches.h"
#include "train/pair_data.h"

namespace lazuli {

/// Tokenized pairs as batches: ids, mask and pooled of (texts, tokens), the first texts before the second ones and those before the
/// negatives; then with PairLoss::scores the scores, with PairLoss::negatives the index of each pair's second text.
///
/// But for scores, no text stands twice in a batch: it would be told apart from itself. Texts count as equal where their tokens are.
class Pairs : public Examples {
 public:
  /// Texts are cut to `max_length` tokens. `model` must live as long.
  Pairs(const EmbeddingModel& model, const std::vector<TextPair>& pairs, PairLoss loss, int64_t max_length);
  int64_t count() const override { return static_cast<int64_t>(pairs_.size()); }
  std::vector<Tensor> batch(std::span<const int64_t> indices) const override;
  std::vector<int64_t> largest_batch(int64_t size) const override;
  int64_t tokens(std::span<const Tensor> batch) const override;
  double weight(std::span<const Tensor> batch) const override;
  std::unique_ptr<BatchOrder> order(int64_t batch_size, uint64_t seed) const override;
  /// Where pairs are contrasted all batches have the same size, as far as the texts allow it: a loss among fewer would be lower. A last one
  /// gets pairs of others, and weighs as much as its own. A pair alone, whose loss is 0, is left out.
  std::vector<WeighedBatch> fixed_batches(int64_t batch_size, int64_t most, uint64_t seed) const override;

  /// How many pairs a batch can have.
  int64_t most_in_batch() const { return most_in_batch_; }
  int64_t all_tokens() const { return all_tokens_; }  ///< of all pairs
  int64_t cut_texts() const { return cut_texts_; }    ///< different ones that were longer than allowed

 private:
  struct Pair {
    int32_t first, second;  ///< indices of texts
    float score;
    std::vector<int32_t> negatives;
  };
  int64_t length(int32_t text) const { return static_cast<int64_t>(texts_[static_cast<size_t>(text)].ids.size()); }
  const Pair& pair(int64_t index) const;

  const EmbeddingModel& model_;
  PairLoss loss_;
  std::vector<EmbeddingTokens> texts_;  ///< each once
  std::vector<Pair> pairs_;
  ExampleTexts texts_of_;
  int64_t most_in_batch_ = 0, all_tokens_ = 0, cut_texts_ = 0;
};

}  // namespace lazuli
