#include "cli/end_of_text.h"

#include <fmt/format.h>

#include "lazuli/error.h"

namespace lazuli::cli {

int32_t end_of_text(const Tokenizer& tokenizer, const LanguageModel& model) {
  if (const auto id = tokenizer.eos_id()) return *id;
  const auto& ids = model.info().eos_token_ids;
  if (!ids.empty()) return static_cast<int32_t>(ids[0]);
  throw FormatError(fmt::format("{}: an end-of-text token is expected in tokenizer_config.json or config.json", model.info().path));
}

}  // namespace lazuli::cli
