// Defines the readers of tokenizer.json's sections; each throws FormatError for what it does not support, by name.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "lazuli/error.h"
#include "text/tokenizer/added_tokens.h"
#include "text/tokenizer/decoder.h"
#include "text/tokenizer/id_merges.h"
#include "text/tokenizer/model.h"
#include "text/tokenizer/normalizer.h"
#include "text/tokenizer/post_processor.h"
#include "text/tokenizer/pre_tokenizer.h"

namespace lazuli::tokenizer {

inline constexpr int kMaxNesting = 16;

/// Calls `each` for the component, or for those of a Sequence whose list is `list`.
template <typename Each>
void for_each_component(const JsonValue& node, std::string_view list, const Each& each, int nesting = 0) {
  if (node.get("type").as_string() != "Sequence") return each(node);
  if (nesting == kMaxNesting) node.fail(fmt::format("Sequences are nested more than {} deep", kMaxNesting));
  for (const JsonValue& item : node.get(list).as_array()) for_each_component(item, list, each, nesting + 1);
}

/// Parts that several sections have: an expression, a pattern and what takes its place, a string of one character, Metaspace's scheme.
Regex read_regex(const JsonValue& expression);
Replace read_replace(const JsonValue& node);
std::string read_character(const JsonValue& node);
Metaspace::PrependScheme read_prepend_scheme(const JsonValue& node);

/// Ids below this bound may occur: tables indexed by id stay in proportion to the file.
std::size_t id_limit(std::size_t tokens);

Normalizer read_normalizer(const std::optional<JsonValue>& node);
PreTokenizer read_pre_tokenizer(const std::optional<JsonValue>& node);
Decoder read_decoder(const std::optional<JsonValue>& node);
PostProcessor read_post_processor(const std::optional<JsonValue>& node, std::size_t limit);
std::vector<AddedToken> read_added_tokens(const std::optional<JsonValue>& node, std::size_t limit);
/// May leave the spelling of bytes to `pre_tokenizer`. `merges` take the place of those of a BPE.
Model read_model(const JsonValue& node, PreTokenizer& pre_tokenizer, std::size_t limit, const std::vector<IdMerge>* merges = nullptr);

/// Adds a token of `node`, whose id must be below `limit`; refuses one that is there already.
void add_token(const JsonValue& node, std::string_view token, std::int64_t id, std::size_t limit, Vocabulary& vocabulary);
Vocabulary read_vocabulary(const JsonValue& node, std::size_t limit);

/// What stands in the place of the file's options, where a class brings its own.
struct WordPieceSettings {
  std::string unknown;
};
struct UnigramSettings {
  std::int32_t unknown;
  bool byte_fallback;
};
WordPiece read_word_piece(const JsonValue& node, std::size_t limit, const std::optional<WordPieceSettings>& own = {});
Unigram read_unigram(const JsonValue& node, std::size_t limit, const std::optional<UnigramSettings>& own = {});
/// `merges` take the place of the file's. `unknown` is a class's unknown token, empty without.
Bpe read_bpe(const JsonValue& node, PreTokenizer& pre_tokenizer, std::size_t limit, const std::vector<IdMerge>* merges = nullptr,
             std::optional<BpeOptions> own = {}, std::string_view unknown = {});

}  // namespace lazuli::tokenizer
