#include "train/pairs.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "lazuli/error.h"

namespace lazuli {
namespace {

constexpr int64_t kLengthStep = 16;  // lengths of batches are multiples of this, so that few plans are made

}  // namespace

Pairs::Pairs(const EmbeddingModel& model, const std::vector<TextPair>& pairs, PairLoss loss, int64_t max_length)
    : model_(model), loss_(loss) {
  const std::string& prompt = model.prompt({});
  std::map<std::vector<int32_t>, int32_t> known;
  const auto add = [&](const std::string& text) {
    EmbeddingTokens tokens = model.tokenize(text, prompt, max_length);
    all_tokens_ += static_cast<int64_t>(tokens.ids.size());
    const auto [place, is_new] = known.emplace(tokens.ids, static_cast<int32_t>(texts_.size()));
    if (!is_new) return place->second;
    cut_texts_ += tokens.cut > 0 ? 1 : 0;
    texts_.push_back(std::move(tokens));
    return place->second;
  };
  for (const TextPair& pair : pairs) {
    const int32_t first = add(pair.first), second = add(pair.second);
    Pair& p = pairs_.emplace_back(Pair{first, second, pair.score, {}});
    for (const std::string& negative : pair.negatives) p.negatives.push_back(add(negative));
    std::vector<int32_t>& own = texts_of_.of.emplace_back(p.negatives);
    own.insert(own.end(), {first, second});
  }
  texts_of_.count = static_cast<int32_t>(texts_.size());
  most_in_batch_ = loss == PairLoss::scores ? count() : distinct_examples(texts_of_);
}

const Pairs::Pair& Pairs::pair(int64_t index) const {
  if (index < 0 || index >= count()) throw ValueError(fmt::format("[train] pair {} of {} was asked for", index, count()));
  return pairs_[static_cast<size_t>(index)];
}

std::vector<Tensor> Pairs::batch(std::span<const int64_t> indices) const {
  std::vector<const EmbeddingTokens*> texts;
  size_t longest = 1;
  const auto add = [&](int32_t text) {
    texts.push_back(&texts_[static_cast<size_t>(text)]);
    longest = std::max(longest, texts.back()->ids.size());
  };
  for (const int64_t k : indices) add(pair(k).first);
  for (const int64_t k : indices) add(pair(k).second);
  if (loss_ == PairLoss::negatives) {
    for (const int64_t k : indices) std::for_each(pair(k).negatives.begin(), pair(k).negatives.end(), add);
  }
  const int64_t rounded = (static_cast<int64_t>(longest) + kLengthStep - 1) / kLengthStep * kLengthStep;
  EmbeddingBatch b = model_.batch(texts, 0, std::min(rounded, model_.encoder().info().context));
  std::vector<Tensor> batch = {std::move(b.ids), std::move(b.mask), std::move(b.pooled)};
  const auto size = static_cast<int64_t>(indices.size());
  if (loss_ == PairLoss::scores) {
    std::vector<float> scores;
    for (const int64_t k : indices) scores.push_back(pair(k).score);
    batch.push_back(Tensor::from_vector(scores, {size}));
  } else if (loss_ == PairLoss::negatives) {
    std::vector<int32_t> own(indices.size());
    std::iota(own.begin(), own.end(), 0);
    batch.push_back(Tensor::from_vector(own, {size}));
  }
  return batch;
}

std::vector<int64_t> Pairs::largest_batch(int64_t size) const {
  if (count() == 0) return {};
  int64_t longest = 0, most = 0, of_longest = 0;
  for (int64_t k = 0; k < count(); ++k) {
    for (const int32_t text : texts_of_.of[static_cast<size_t>(k)]) {
      if (length(text) <= of_longest) continue;
      of_longest = length(text);
      longest = k;
    }
    if (pair(k).negatives.size() > pair(most).negatives.size()) most = k;
  }
  // All are padded to the longest text.
  std::vector<int64_t> indices(static_cast<size_t>(loss_ == PairLoss::scores ? size : std::min(size, count())), most);
  indices[0] = longest;
  return indices;
}

int64_t Pairs::tokens(std::span<const Tensor> batch) const {
  const auto mask = batch[1].data<bool>();
  return std::count(mask.begin(), mask.end(), true);
}

double Pairs::weight(std::span<const Tensor> batch) const {
  return static_cast<double>(loss_ == PairLoss::contrastive ? batch[0].dim(0) / 2 : batch[3].dim(0));
}

std::unique_ptr<BatchOrder> Pairs::order(int64_t batch_size, uint64_t seed) const {
  if (loss_ == PairLoss::scores) return Examples::order(batch_size, seed);
  return std::make_unique<DistinctOrder>(texts_of_, batch_size, seed);
}

std::vector<WeighedBatch> Pairs::fixed_batches(int64_t batch_size, int64_t most, uint64_t seed) const {
  if (loss_ == PairLoss::scores) return Examples::fixed_batches(batch_size, most, seed);
  std::vector<WeighedBatch> batches;
  for (DistinctBatch& b : distinct_batches(texts_of_, shuffled(count(), seed, 0), batch_size)) {
    if (most >= 0 && static_cast<int64_t>(batches.size()) >= most) break;
    const bool negatives = std::any_of(b.indices.begin(), b.indices.end(), [&](int64_t k) { return !pair(k).negatives.empty(); });
    if (b.indices.size() > 1 || negatives) batches.push_back({std::move(b.indices), static_cast<double>(b.fresh)});
  }
  return batches;
}

}  // namespace lazuli
