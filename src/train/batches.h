// Defines Examples and Windows, texts cut into rows of equal length, and the order in which training draws batches of them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lazuli/tensor.h"

namespace lazuli {

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
};

/// A stream of tokens cut into windows of `tokens + 1`. Neighbours share one token, so that every token is predicted once.
class Windows : public Examples {
 public:
  /// A stream too short for one window becomes one shorter window; a rest at the end is left out. Throws ValueError unless there are
  /// two tokens and `tokens` is at least 1.
  Windows(std::vector<int32_t> stream, int64_t tokens);

  int64_t count() const override { return count_; }
  /// Tokens to predict in each window.
  int64_t tokens() const { return tokens_; }
  /// The named windows as ids (indices, tokens + 1), i32.
  Tensor rows(std::span<const int64_t> indices) const;
  std::vector<Tensor> batch(std::span<const int64_t> indices) const override { return {rows(indices)}; }
  int64_t tokens(std::span<const Tensor> batch) const override { return batch[0].dim(0) * (batch[0].dim(1) - 1); }

 private:
  std::vector<int32_t> stream_;
  int64_t tokens_;
  int64_t count_;
};

/// Draws windows without end: each epoch has all of them once, in an order that depends on the seed and the epoch only.
class BatchOrder {
 public:
  BatchOrder(int64_t windows, int64_t batch_size, uint64_t seed) : windows_(windows), batch_size_(batch_size), seed_(seed) {}
  /// Indices of the windows of a step, the first one being 1. Cheapest when steps are asked for in turn.
  std::vector<int64_t> batch(int64_t step);

 private:
  int64_t at(int64_t position);
  int64_t windows_, batch_size_;
  uint64_t seed_;
  int64_t epoch_ = -1;
  std::vector<int64_t> order_;
};

/// The numbers from 0 to count - 1 in an order that depends on the seed and `stream` only.
std::vector<int64_t> shuffled(int64_t count, uint64_t seed, uint64_t stream);

}  // namespace lazuli
