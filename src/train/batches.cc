#include "train/batches.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <utility>

#include "lazuli/error.h"

namespace lazuli {

Windows::Windows(std::vector<int32_t> stream, int64_t tokens) : stream_(std::move(stream)) {
  const auto size = static_cast<int64_t>(stream_.size());
  if (tokens < 1) throw ValueError(fmt::format("[train] a window of at least 1 token is expected, got {}", tokens));
  if (size < 2) throw ValueError(fmt::format("[train] texts of at least 2 tokens are expected, got {}", size));
  tokens_ = std::min(tokens, size - 1);
  count_ = (size - 1 + tokens_ - 1) / tokens_;
}

Tensor Windows::rows(std::span<const int64_t> indices) const {
  Tensor ids = Tensor::empty(DType::i32, {static_cast<int64_t>(indices.size()), tokens_ + 1});
  auto next = ids.mutable_data<int32_t>().begin();
  for (int64_t index : indices) {
    if (index < 0 || index >= count_) throw ValueError(fmt::format("[train] window {} of {} was asked for", index, count_));
    const int64_t size = std::min(tokens_ + 1, static_cast<int64_t>(stream_.size()) - index * tokens_);
    next = std::copy_n(stream_.begin() + index * tokens_, size, next);
    next = std::fill_n(next, tokens_ + 1 - size, kPadding);
  }
  return ids;
}

int64_t Windows::tokens(std::span<const Tensor> batch) const {
  const auto ids = batch[0].data<int32_t>();
  // The first token of a row is not predicted, and never padding.
  return static_cast<int64_t>(ids.size()) - std::count(ids.begin(), ids.end(), kPadding) - batch[0].dim(0);
}

std::unique_ptr<BatchOrder> Examples::order(int64_t batch_size, uint64_t seed) const {
  return std::make_unique<PlainOrder>(count(), batch_size, seed);
}

std::vector<WeighedBatch> Examples::fixed_batches(int64_t batch_size, int64_t most, uint64_t seed) const {
  const std::vector<int64_t> examples = shuffled(count(), seed, 0);
  std::vector<WeighedBatch> batches;
  for (size_t begin = 0; begin < examples.size() && (most < 0 || static_cast<int64_t>(batches.size()) < most);) {
    const size_t end = std::min(begin + static_cast<size_t>(batch_size), examples.size());
    WeighedBatch& b = batches.emplace_back();
    b.indices.assign(examples.begin() + static_cast<std::ptrdiff_t>(begin), examples.begin() + static_cast<std::ptrdiff_t>(end));
    b.weight = weight(batch(b.indices));
    begin = end;
  }
  return batches;
}

std::vector<int64_t> Examples::largest_batch(int64_t size) const {
  std::vector<int64_t> indices(static_cast<size_t>(size));
  for (size_t k = 0; k < indices.size(); ++k) indices[k] = static_cast<int64_t>(k) % count();
  return indices;
}

std::vector<int64_t> shuffled(int64_t count, uint64_t seed, uint64_t stream) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  // The standard fixes what these two give, but not what its distributions and std::shuffle do.
  std::seed_seq mixed{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), static_cast<uint32_t>(stream),
                      static_cast<uint32_t>(stream >> 32)};
  std::mt19937_64 generator(mixed);
  for (size_t k = order.size(); k > 1; --k) std::swap(order[k - 1], order[generator() % k]);
  return order;
}

int64_t PlainOrder::at(int64_t position) {
  if (position / examples_ != epoch_) {
    epoch_ = position / examples_;
    order_ = shuffled(examples_, seed_, static_cast<uint64_t>(epoch_));
  }
  return order_[static_cast<size_t>(position % examples_)];
}

std::vector<int64_t> PlainOrder::batch(int64_t step) {
  std::vector<int64_t> indices;
  for (int64_t k = 0; k < batch_size_; ++k) indices.push_back(at((step - 1) * batch_size_ + k));
  return indices;
}

}  // namespace lazuli
