// Defines DecodeSession: the compiled forward pass of one model with its cache of keys and values.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "lazuli/model.h"
#include "lazuli/transforms.h"

namespace lazuli {

/// What a run computes: (ids, offset, last, keys and values of each layer) -> (logits after token `last`, keys and values of each layer).
Function decode_function(std::shared_ptr<const LanguageModel> model, std::shared_ptr<const AdapterContext> adapter);
/// Positions of the cache that `positions` tokens get.
int64_t cache_capacity(int64_t positions);

/// Feeds tokens to a model one chunk after the other. The cache enters every run at its full capacity and is donated, so a run neither
/// copies nor allocates it, and all runs of single tokens share one plan.
class DecodeSession {
 public:
  DecodeSession(std::shared_ptr<const LanguageModel> model, std::optional<Adapter> adapter);
  /// Forgets all tokens and makes room for `positions`.
  void reset(int64_t positions);
  /// Throws OutOfMemory where a prompt of so many tokens and the tokens after it, `positions` in all, need more than there may be. Plans
  /// what will run.
  void require_memory(int64_t prompt, int64_t positions);
  /// Appends tokens; the logits that follow the last of them, valid until the next call.
  std::span<const float> feed(std::span<const int32_t> ids);
  /// Tokens fed since the last reset.
  int64_t position() const { return position_; }
  int64_t capacity() const { return capacity_; }
  size_t traces() const { return forward_.traces(); }

 private:
  void run_chunk(std::span<const int32_t> ids);
  Tensor& ids_of_length(int64_t length);
  void drop_cache();
  Shape cache_shape(int64_t capacity) const;

  std::shared_ptr<const LanguageModel> model_;
  std::shared_ptr<const AdapterContext> adapter_;
  CompiledFunction forward_;
  std::vector<Tensor> args_;     ///< ids, offset, last, then keys and values of each layer
  std::vector<Tensor> results_;  ///< logits, then keys and values of each layer
  Tensor logits_;                ///< of the last feed, on the host
  Tensor one_id_;
  int64_t position_ = 0;
  int64_t capacity_ = 0;
};

/// Lengths of the chunks that a prompt of `count` tokens is fed in: few different ones, so that few plans are made. The sum can exceed
/// `count`; what is too much is filled up with tokens that nothing sees.
std::vector<int64_t> chunk_lengths(int64_t count);

}  // namespace lazuli
