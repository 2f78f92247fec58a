// Implements the checks of prompts.
#include "generate/text_rules.h"

#include <fmt/format.h>

#include <algorithm>

#include "lazuli/error.h"

namespace lazuli {

void check_prompt(const TextModel& model, std::span<const int32_t> prompt, const GenerateOptions& options, const std::string& who) {
  options.sampler.check();
  const ModelInfo& info = model.info();
  const auto count = static_cast<int64_t>(prompt.size());
  if (count == 0) throw ValueError(fmt::format("[generate] {}: at least one token is expected", who));
  if (options.max_tokens < 1) throw ValueError(fmt::format("[generate] max_tokens of at least 1 is expected, got {}", options.max_tokens));
  if (info.context > 0 && count > info.context) {
    throw ValueError(fmt::format("[generate] {}: {} tokens exceed the model's context of {} tokens", who, count, info.context));
  }
  model.require_known(prompt, who);
}

int64_t tokens_that_fit(const ModelInfo& info, std::span<const int32_t> prompt, const GenerateOptions& options) {
  return info.context > 0 ? std::min(options.max_tokens, info.context - static_cast<int64_t>(prompt.size())) : options.max_tokens;
}

}  // namespace lazuli
