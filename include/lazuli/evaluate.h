// Declares the evaluation of a language model: its loss and perplexity on a text.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "lazuli/adapter.h"
#include "lazuli/model.h"
#include "lazuli/tokenizer.h"

namespace lazuli {

/// How a text is cut into windows, and what is reported besides the result.
struct EvaluateOptions {
  int64_t max_seq_length = 2048;  ///< tokens of a window, at most the model's context
  std::string dump_logits;        ///< safetensors file for `ids.K` (tokens) and `logits.K` (tokens, vocab_size) of window K; empty: none
  std::function<void(int64_t done, int64_t total)> on_progress;  ///< tokens so far
};

/// How well a model predicts a text.
struct EvaluateResult {
  double loss = 0;        ///< mean negative log-likelihood of the targets, in nats
  double perplexity = 0;  ///< exp(loss)
  int64_t tokens = 0;     ///< targets counted
};

/// Cuts `tokens` into windows that do not overlap. Predicts each token of a window from the tokens before it in the same window.
/// Throws ValueError for fewer than two tokens.
EvaluateResult evaluate(const LanguageModel& model, const Adapter* adapter, std::span<const int32_t> tokens,
                        const EvaluateOptions& options = {});

/// Returns the tokens of a text file, of rows of {"text"}, or of the files of a folder that `lazuli eval` measures. Each text gives the
/// tokens of Tokenizer::encode, and the end-of-text token after them unless they end with it.
std::vector<int32_t> read_tokens(const std::string& path, const Tokenizer& tokenizer, int32_t end_of_text);

}  // namespace lazuli
