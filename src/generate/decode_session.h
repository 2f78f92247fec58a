// Defines DecodeSession: the compiled forward pass of one model with its cache of keys and values, which ends in the next token.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "generate/token_read.h"
#include "lazuli/generate.h"
#include "lazuli/model.h"
#include "lazuli/transforms.h"

namespace lazuli {

/// What a run computes: (ids, offset, last, history, rules, counts, keys and values of each layer) -> (the token after token `last`, that
/// token as the next ids, the next offset, logits, history, keys and values of each layer). `history` has the ids at their positions;
/// `rules` and `counts` are those of the op sample.
Function decode_function(std::shared_ptr<const LanguageModel> model, std::shared_ptr<const AdapterContext> adapter);
/// The arguments of that run for `tokens` ids and a cache of `capacity` positions.
std::vector<TensorSpec> decode_arguments(const ModelInfo& info, int64_t tokens, int64_t capacity);
/// The arguments that the results may take the memory of.
std::vector<int> decode_donations(const ModelInfo& info);
/// Positions of the cache that `positions` tokens get.
int64_t cache_capacity(int64_t positions);

/// Feeds tokens to a model one chunk after the other. The cache enters every run at its full capacity and is donated, so a run neither
/// copies nor allocates it, and all runs of single tokens share one plan. The chosen token stays where the model runs and can be fed
/// before the host has read it.
class DecodeSession {
 public:
  DecodeSession(std::shared_ptr<const LanguageModel> model, std::optional<Adapter> adapter);
  /// Forgets all tokens and makes room for `positions`. The tokens after the first `prompt` are chosen by the rules of `sampler`.
  void reset(int64_t positions, const SamplerOptions& sampler = {}, int64_t prompt = 0);
  /// Throws OutOfMemory where a prompt of so many tokens and the tokens after it, `positions` in all, need more than there may be. Plans
  /// what will run.
  void require_memory(int64_t prompt, int64_t positions);
  /// Appends tokens; then the one that follows can be read or fed.
  void feed(std::span<const int32_t> ids);
  /// Appends the token that was chosen last, which the host need not have read. Throws ValueError where there is none or no room.
  void step();
  /// The oldest chosen token that was not read yet. Waits for that one alone. Throws ValueError when its logits had NaN.
  int32_t next_token();
  /// Chosen tokens that were not read yet: of the last run, and of runs that were fed ahead of reading.
  size_t unread() const { return reads_.size(); }
  /// Forgets the chosen tokens that were not read, also where they were fed: `position` counts what the host knows.
  void drop_unread();
  /// After the last token that was fed.
  std::vector<float> logits() const;
  /// Whether `step` returns while the run still goes on, so that feeding ahead of reading saves time.
  bool runs_ahead() const;
  /// Tokens fed since the last reset.
  int64_t position() const { return position_; }
  int64_t capacity() const { return capacity_; }
  size_t traces() const { return forward_.traces(); }

 private:
  void run_chunk(std::span<const int32_t> ids);
  void run(int64_t count);
  Tensor& ids_of_length(int64_t length);
  void drop_cache();

  std::shared_ptr<const LanguageModel> model_;
  std::shared_ptr<const AdapterContext> adapter_;
  Device device_;  ///< of all runs, whatever the calling thread's default
  CompiledFunction forward_;
  std::vector<Tensor> args_;     ///< as decode_function says
  std::vector<Tensor> results_;  ///< as decode_function says
  std::deque<TokenRead> reads_;
  Tensor one_id_, zero_;
  bool chosen_ = false;  ///< the last results belong to `position_`
  int64_t position_ = 0;
  int64_t capacity_ = 0;
};

/// Tokens of a prompt that are read at once, at most.
inline constexpr int64_t kLongestChunk = 512;

/// Lengths of the chunks that a prompt of `count` tokens is fed in: few different ones, so that few plans are made. The sum can exceed
/// `count`; what is too much is filled up with tokens that nothing sees.
std::vector<int64_t> chunk_lengths(int64_t count);

}  // namespace lazuli
