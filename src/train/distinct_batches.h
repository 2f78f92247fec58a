// Declares batches in which no text stands twice, since each is told apart from the others of its batch.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "train/batches.h"

namespace lazuli {

/// The texts of each example, as numbers from 0 that are equal where the texts are.
struct ExampleTexts {
  std::vector<std::vector<int32_t>> of;
  int32_t count = 0;  ///< one past the largest number
};

struct DistinctBatch {
  std::vector<int64_t> indices;
  size_t fresh = 0;  ///< the first ones, which are in no other batch as such
};

/// Puts each example of `order` into one batch of at most `size` that has none of its texts yet, then fills batches that are not full with
/// further examples that fit, so that all have `size` where the texts allow it. Takes time in proportion to the texts.
std::vector<DistinctBatch> distinct_batches(const ExampleTexts& texts, std::span<const int64_t> order, int64_t size);

/// How many examples one batch can have at most, by a greedy choice.
int64_t distinct_examples(const ExampleTexts& texts);

/// Draws such batches: each epoch has every example, in an order that depends on the seed and the epoch only. `texts` must live as long.
class DistinctOrder : public BatchOrder {
 public:
  DistinctOrder(const ExampleTexts& texts, int64_t batch_size, uint64_t seed) : texts_(texts), batch_size_(batch_size), seed_(seed) {}
  std::vector<int64_t> batch(int64_t step) override;

 private:
  const ExampleTexts& texts_;
  int64_t batch_size_;
  uint64_t seed_;
  int64_t epoch_ = -1, first_ = 0;  ///< the epoch that is laid out, and the number of its first batch, from 0
  std::vector<DistinctBatch> batches_;
};

}  // namespace lazuli
