// Defines Generator, which continues a text with a language model, and how the next token is chosen.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lazuli/adapter.h"
#include "lazuli/memory.h"
#include "lazuli/model.h"
#include "lazuli/text_model.h"
#include "lazuli/tokenizer.h"

namespace lazuli {

/// How a token is drawn; the names and rules are those of mlx-lm.
struct SamplerOptions {
  double temperature = 0;           ///< 0 takes the most probable token (the first of equals)
  double top_p = 1;                 ///< keeps the most probable tokens until their sum reaches this (Holtzman et al. 2020)
  int64_t top_k = 0;                ///< keeps the k most probable tokens; 0: all
  double min_p = 0;                 ///< keeps tokens with at least this fraction of the highest probability
  double repetition_penalty = 1;    ///< divides positive and multiplies negative logits of recent tokens (Keskar et al. 2019)
  int64_t repetition_context = 20;  ///< how many of the last tokens are recent
  uint64_t seed = 0;                ///< seed of the draws
  /// Throws ValueError naming what is out of range.
  void check() const;
};

/// Chooses tokens from logits on the host. The same seed and logits give the same tokens as a Generator on any device, except where the
/// last digit of an exponential decides.
class Sampler {
 public:
  /// Throws ValueError.
  explicit Sampler(const SamplerOptions& options);
  /// Returns the next token. `history` is the prompt and the tokens so far.
  int32_t next(std::span<const float> logits, std::span<const int32_t> history);

 private:
  SamplerOptions options_;
  int64_t draws_ = 0;
  std::vector<float> logits_;
};

/// How long a generated text may be, and how its tokens are chosen.
struct GenerateOptions {
  int64_t max_tokens = 100;       ///< the most tokens to generate; fewer where the model's context ends before
  SamplerOptions sampler;         ///< how a token is drawn
  std::vector<std::string> stop;  ///< texts that end the generation; they are not part of the result
  bool stop_at_eos = true;        ///< stop at an end-of-text token
};

/// Why a text ended. `length`: `max_tokens` was reached. `eos`: the model ended it. `stop`: a stop text was generated. `cancelled`: the
/// callback returned false. `context`: prompt and text fill the model's context. `nan`: the logits of a text in a batch had NaN.
enum class FinishReason : uint8_t { length, eos, stop, cancelled, context, nan };
/// Returns the reason as one word.
const char* name_of(FinishReason reason);

/// A generated text, with counters of the run.
struct GenerateResult {
  std::string text;                            ///< without the prompt
  std::vector<int32_t> tokens;                 ///< without the end-of-text token
  FinishReason finish = FinishReason::length;  ///< why it ended
  int64_t prompt_tokens = 0;                   ///< tokens of the prompt
  int64_t generation_tokens = 0;               ///< tokens that were generated
  double prompt_tps = 0;                       ///< prompt tokens per second, up to the first logits
  double generation_tps = 0;                   ///< tokens per second after the first
  size_t peak_memory_bytes = 0;                ///< peak resident memory of the process
  size_t pool_peak_bytes = 0;                  ///< peak memory of tensors
};

/// Receives text as it is generated, once for each token. A piece has complete characters and no part of a stop text, so it can be empty.
/// Returning false ends the generation.
using TextCallback = std::function<bool(std::string_view piece)>;

/// Generates with one model. Keys and values have memory of a fixed size, and all tokens after the prompt run one plan. Not thread-safe.
class Generator {
 public:
  /// Uses a model, with or without an adapter.
  explicit Generator(TextModel model, std::optional<Adapter> adapter = {});
  /// Uses a tokenizer that was loaded separately.
  Generator(std::shared_ptr<const LanguageModel> model, Tokenizer tokenizer, std::optional<Adapter> adapter = {})
      : Generator(TextModel(std::move(model), std::move(tokenizer)), std::move(adapter)) {}
  ~Generator();
  /// Leaves the other empty.
  Generator(Generator&&) noexcept;

  /// Continues a text, at most to the end of the model's context. Throws ValueError for an empty prompt and for one longer than the
  /// context.
  GenerateResult run(std::string_view prompt, const GenerateOptions& options, const TextCallback& on_text = {});
  /// Continues a prompt of token ids.
  GenerateResult run(std::span<const int32_t> prompt, const GenerateOptions& options, const TextCallback& on_text = {});
  /// Returns how many plans were traced: one for each length of a prompt's chunks and one for single tokens.
  size_t traces() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// One prompt of a batch.
struct BatchPrompt {
  std::vector<int32_t> tokens;  ///< the token ids to continue
  GenerateOptions options;      ///< options of this text
  int32_t adapter = -1;         ///< index of its adapter; -1: the model alone
  std::string name = {};        ///< its name in errors; empty: "prompt" and its index
};

/// Receives the result of prompt `index` as soon as its text ends. Returning false ends all others. Their texts so far are results too.
using BatchCallback = std::function<bool(size_t index, const GenerateResult& result)>;
/// Receives the text of prompt `index` as TextCallback does. Returning false ends that text.
using BatchTextCallback = std::function<bool(size_t index, std::string_view piece)>;

/// Generates several texts side by side. Each text has a slot with sampling rules and an adapter of its own. When a text ends, the next
/// prompt takes its slot and is read in parts while others continue. Not thread-safe.
class BatchGenerator {
 public:
  /// Generates at most `slots` texts at once, each with one of the adapters or none. Throws ValueError.
  BatchGenerator(TextModel model, std::vector<Adapter> adapters, int64_t slots);
  ~BatchGenerator();
  /// Leaves the other empty.
  BatchGenerator(BatchGenerator&&) noexcept;

  /// Returns results in the order of the prompts. Rates count from the start to the end of each text. Before anything is computed it throws
  /// ValueError as Generator::run does, naming the prompt, and OutOfMemory.
  std::vector<GenerateResult> run(std::span<const BatchPrompt> prompts, const BatchCallback& on_end = {},
                                  const BatchTextCallback& on_text = {});
  /// Returns the most memory that the last run needed, as it was planned.
  MemoryNeed planned_memory() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lazuli
