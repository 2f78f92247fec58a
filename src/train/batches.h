// Defines Examples and Windows, texts cut into rows of equal length, and the orders in which training draws batches of them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lazuli/tensor.h"

namespace lazuli {

/// Marks the places of a window behind the end of the texts: they are neither read nor predicted.
inline constexpr int32_t kPadding = -100;

/// Draws batches without end, in an order that depends on the seed only. Cheapest when steps are asked for in turn.
class BatchOrder {
 public:
  virtual ~BatchOrder() = default;
  /// Indices of the examples of a step, the first one being 1.
  virtual std::vector<int64_t> batch(int64_t step) = 0;
};

/// Examples that are measured together, and how much their mean loss weighs in that of all.
struct WeighedBatch {
  std::vector<int64_t> indices;
  double weight = 0;
};

/// What a training draws batches from.
class Examples {
 public:
  virtual ~Examples() = default;
  virtual int64_t count() const = 0;
  /// The named examples as the tensors that an Objective takes. Throws ValueError for one that there is not.
  virtual std::vector<Tensor> batch(std::span<const int64_t> indices) const = 0;
  /// Examples of a batch that takes the most memory.
  virtual std::vector<int64_t> largest_batch(int64_t size) const;
  /// How many tokens of a batch count as trained on.
  virtual int64_t tokens(std::span<const Tensor> batch) const = 0;
  /// How much a batch's mean loss weighs beside those of other batches.
  virtual double weight(std::span<const Tensor> batch) const { return static_cast<double>(tokens(batch)); }
  /// The batches that training draws; each epoch has every example.
  virtual std::unique_ptr<BatchOrder> order(int64_t batch_size, uint64_t seed) const;
  /// Batches to validate on, at most `most` of them (below 0: all), the same at every call.
  virtual std::vector<WeighedBatch> fixed_batches(int64_t batch_size, int64_t most, uint64_t seed) const;
};

/// A stream of tokens cut into windows of `tokens + 1`. Neighbours share one token, so that every token but the first is predicted once.
class Windows : public Examples {
 public:
  /// The last window is padded with kPadding; a stream too short for one window becomes one shorter window. Throws ValueError unless
  /// there are two tokens and `tokens` is at least 1.
  Windows(std::vector<int32_t> stream, int64_t tokens);

  int64_t count() const override { return count_; }
  /// Tokens to predict in each window but the last.
  int64_t tokens() const { return tokens_; }
  /// Tokens to predict in all.
  int64_t targets() const { return static_cast<int64_t>(stream_.size()) - 1; }
  /// The named windows as ids (indices, tokens + 1), i32.
  Tensor rows(std::span<const int64_t> indices) const;
  std::vector<Tensor> batch(std::span<const int64_t> indices) const override { return {rows(indices)}; }
  int64_t tokens(std::span<const Tensor> batch) const override;

 private:
  std::vector<int32_t> stream_;
  int64_t tokens_;
  int64_t count_;
};

/// Draws examples in turn: each epoch has all of them once, in an order that depends on the seed and the epoch only. A batch may begin in
/// one epoch and end in the next.
class PlainOrder : public BatchOrder {
 public:
  PlainOrder(int64_t examples, int64_t batch_size, uint64_t seed) : examples_(examples), batch_size_(batch_size), seed_(seed) {}
  std::vector<int64_t> batch(int64_t step) override;

 private:
  int64_t at(int64_t position);
  int64_t examples_, batch_size_;
  uint64_t seed_;
  int64_t epoch_ = -1;
  std::vector<int64_t> order_;
};

/// The numbers from 0 to count - 1 in an order that depends on the seed and `stream` only.
std::vector<int64_t> shuffled(int64_t count, uint64_t seed, uint64_t stream);

}  // namespace lazuli
