// Declares what every generation checks of a prompt, and how long a text may become.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "lazuli/generate.h"

namespace lazuli {

/// Throws ValueError for a prompt or options that the model cannot take. `who` names the prompt in the error: "the prompt".
void check_prompt(const TextModel& model, std::span<const int32_t> prompt, const GenerateOptions& options, const std::string& who);
/// How many tokens may come after a prompt: as many as are asked for and the model's context holds.
int64_t tokens_that_fit(const ModelInfo& info, std::span<const int32_t> prompt, const GenerateOptions& options);

}  // namespace lazuli
