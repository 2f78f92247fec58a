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

void require_known(std::span<const int32_t> ids, const Tokenizer& tokenizer, const LanguageModel& model) {
  const int64_t vocabulary = model.info().vocab_size;
  for (const int32_t id : ids) {
    if (id >= 0 && id < vocabulary) continue;
    throw ValueError(fmt::format("{}: token '{}' of the data has id {}, which is not below the vocabulary size {} of the model{}",
                                 model.info().path, tokenizer.id_to_token(id).value_or(""), id, vocabulary,
                                 tokenizer.eos_id() == id ? "; it is the tokenizer's end-of-text token" : ""));
  }
}

}  // namespace lazuli::cli
