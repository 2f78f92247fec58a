// Implements TextModel.
#include "lazuli/text_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "io/generation_config.h"
#include "lazuli/error.h"
#include "models/registry.h"
#include "text/tokenizer/load.h"

namespace lazuli {

TextModel::TextModel(std::shared_ptr<const LanguageModel> model, Tokenizer tokenizer)
    : model_(std::move(model)), tokenizer_(std::move(tokenizer)), generation_(std::make_shared<const GenerationConfig>()) {}

TextModel TextModel::open(const std::string& path, DType dtype, Quantization quantization) {
  ModelFolder folder(path);
  Tokenizer tokenizer = load_tokenizer(folder);
  LoadedModel loaded = load_language_model(folder, dtype, quantization);
  TextModel text(std::move(loaded.model), std::move(tokenizer));
  text.generation_ = std::make_shared<const GenerationConfig>(std::move(loaded.generation));
  return text;
}

bool TextModel::ends_text(int32_t id) const {
  const auto& models = info().eos_token_ids;
  if (!models.empty()) return std::find(models.begin(), models.end(), int64_t{id}) != models.end();
  const auto& own = tokenizer_.eos_ids();
  return std::find(own.begin(), own.end(), id) != own.end();
}

int32_t TextModel::document_end() const {
  if (const auto id = tokenizer_.eos_id()) return *id;
  const auto& ids = info().eos_token_ids;
  if (!ids.empty()) return static_cast<int32_t>(ids[0]);
  throw FormatError(fmt::format("{}: an end-of-text token is expected in tokenizer_config.json or config.json", info().path));
}

void TextModel::require_known(std::span<const int32_t> ids, const std::string& what) const {
  const auto& media = info().media_tokens;
  for (const int32_t id : ids) {
    if (std::find(media.begin(), media.end(), int64_t{id}) != media.end()) {
      throw ValueError(
          fmt::format("{}: text alone expected, got token '{}' of {}, which stands for an image, a video or sound: of this model "
                      "the text part is loaded",
                      info().path, tokenizer_.id_to_token(id).value_or(""), what));
    }
    if (id >= 0 && id < info().vocab_size) continue;
    throw ValueError(fmt::format("{}: token '{}' of {} has id {}, which is not below the vocabulary size {} of the model{}", info().path,
                                 tokenizer_.id_to_token(id).value_or(""), what, id, info().vocab_size,
                                 tokenizer_.eos_id() == id ? "; it is the tokenizer's end-of-text token" : ""));
  }
}

}  // namespace lazuli
