// Declares which token the commands put after each document.
#pragma once

#include <cstdint>

#include "lazuli/model.h"
#include "lazuli/tokenizer.h"

namespace lazuli::cli {

/// The tokenizer's end-of-text token, else the model's first one. Throws FormatError where neither has any.
int32_t end_of_text(const Tokenizer& tokenizer, const LanguageModel& model);

}  // namespace lazuli::cli
