#include "train/distinct_batches.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace lazuli {

namespace {

/// Finds the first batch from a number on that is not full.
class OpenBatches {
 public:
  size_t from(size_t batch) {
    while (next_.size() <= batch) next_.push_back(next_.size());
    size_t found = batch;
    while (next_[found] != found) {
      found = next_[found];
      if (found == next_.size()) next_.push_back(found);
    }
    // The way is short the next time.
    while (next_[batch] != found && batch != found) batch = std::exchange(next_[batch], found);
    return found;
  }
  void close(size_t batch) { next_[batch] = batch + 1; }

 private:
  std::vector<size_t> next_;
};

/// Examples of `order` of which no two have a text in common.
std::vector<int64_t> apart(const ExampleTexts& texts, std::span<const int64_t> order) {
  std::vector<bool> seen(static_cast<size_t>(texts.count));
  std::vector<int64_t> chosen;
  for (const int64_t k : order) {
    const auto& own = texts.of[static_cast<size_t>(k)];
    if (std::any_of(own.begin(), own.end(), [&](int32_t t) { return seen[static_cast<size_t>(t)]; })) continue;
    for (const int32_t t : own) seen[static_cast<size_t>(t)] = true;
    chosen.push_back(k);
  }
  return chosen;
}

/// Adds examples to batches that are not full. Each text belongs to at most one of the examples that are apart, so only few of them are
/// looked at in vain.
void fill(const ExampleTexts& texts, std::span<const int64_t> order, size_t size, std::vector<DistinctBatch>& batches) {
  const std::vector<int64_t> spare = apart(texts, order);
  std::vector<size_t> in_batch(static_cast<size_t>(texts.count));  // the last batch, from 1, that has the text
  size_t next = 0;
  for (size_t b = 0; b < batches.size(); ++b) {
    std::vector<int64_t>& indices = batches[b].indices;
    if (indices.size() >= size) continue;
    const auto mark = [&](int64_t k) {
      for (const int32_t t : texts.of[static_cast<size_t>(k)]) in_batch[static_cast<size_t>(t)] = b + 1;
    };
    for (const int64_t k : indices) mark(k);
    for (size_t tried = 0; tried < spare.size() && indices.size() < size; ++tried, next = (next + 1) % spare.size()) {
      const auto& own = texts.of[static_cast<size_t>(spare[next])];
      if (std::any_of(own.begin(), own.end(), [&](int32_t t) { return in_batch[static_cast<size_t>(t)] == b + 1; })) continue;
      indices.push_back(spare[next]);
      mark(spare[next]);
    }
  }
}

}  // namespace

std::vector<DistinctBatch> distinct_batches(const ExampleTexts& texts, std::span<const int64_t> order, int64_t size) {
  std::vector<DistinctBatch> batches;
  std::vector<size_t> next(static_cast<size_t>(texts.count));  // the first batch that may have the text
  OpenBatches open;
  for (const int64_t k : order) {
    const auto& own = texts.of[static_cast<size_t>(k)];
    size_t least = 0;
    for (const int32_t t : own) least = std::max(least, next[static_cast<size_t>(t)]);
    const size_t b = open.from(least);
    if (b >= batches.size()) batches.resize(b + 1);
    batches[b].indices.push_back(k);
    ++batches[b].fresh;
    for (const int32_t t : own) next[static_cast<size_t>(t)] = b + 1;
    if (batches[b].fresh == static_cast<size_t>(size)) open.close(b);
  }
  fill(texts, order, static_cast<size_t>(size), batches);
  return batches;
}

int64_t distinct_examples(const ExampleTexts& texts) {
  const auto count = static_cast<int64_t>(texts.of.size());
  std::vector<int64_t> all(texts.of.size());
  std::iota(all.begin(), all.end(), int64_t{0});
  size_t most = 0;
  for (const DistinctBatch& batch : distinct_batches(texts, all, count)) most = std::max(most, batch.indices.size());
  return static_cast<int64_t>(most);
}

std::vector<int64_t> DistinctOrder::batch(int64_t step) {
  const int64_t number = step - 1;
  if (epoch_ < 0 || number < first_) {
    epoch_ = -1;
    first_ = 0;
    batches_.clear();
  }
  while (epoch_ < 0 || number >= first_ + static_cast<int64_t>(batches_.size())) {
    first_ += static_cast<int64_t>(batches_.size());
    ++epoch_;
    batches_ =
        distinct_batches(texts_, shuffled(static_cast<int64_t>(texts_.of.size()), seed_, static_cast<uint64_t>(epoch_)), batch_size_);
  }
  return batches_[static_cast<size_t>(number - first_)].indices;
}

}  // namespace lazuli
