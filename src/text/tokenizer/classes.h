// Defines what the classes of transformers that build a tokenizer anew put in the place of tokenizer.json's sections.
#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/tokenizer/decoder.h"
#include "text/tokenizer/id_merges.h"
#include "text/tokenizer/model.h"
#include "text/tokenizer/normalizer.h"
#include "text/tokenizer/post_processor.h"
#include "text/tokenizer/pre_tokenizer.h"
#include "text/tokenizer/settings.h"

namespace lazuli::tokenizer {

/// None of these is for TokenizerClass::as_file. `root` is tokenizer.json.
Normalizer class_normalizer(const Settings& settings, const JsonValue& root);
PreTokenizer class_pre_tokenizer(const Settings& settings);
Decoder class_decoder(const Settings& settings);
/// The file's vocabulary and merges, or those of `merges`, with the class's options; throws FormatError when the file has another kind of
/// model.
Model class_model(const Settings& settings, const JsonValue& node, PreTokenizer& pre_tokenizer, std::size_t limit,
                  const std::vector<IdMerge>* merges = nullptr);
/// Nothing where the file's counts. `id_of` gives the id of a token.
std::optional<PostProcessor> class_post_processor(const Settings& settings, const std::function<std::int32_t(std::string_view)>& id_of,
                                                  const JsonValue& root);

}  // namespace lazuli::tokenizer
