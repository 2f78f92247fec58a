// Declares which token the commands put after each document, and the check that a model knows all tokens.
#pragma once

#include <cstdint>
#include <span>

#include "lazuli/model.h"
#include "lazuli/tokenizer.h"

namespace lazuli::cli {

/// The tokenizer's end-of-text token, else the model's first one. Throws FormatError where neither has any.
int32_t end_of_text(const Tokenizer& tokenizer, const LanguageModel& model);

/// Throws ValueError, which names the token, where the model has no row for one of the ids.
void require_known(std::span<const int32_t> ids, const Tokenizer& tokenizer, const LanguageModel& model);

}  // namespace lazuli::cli
