// Defines the readers of tokenizer.json's sections; each throws FormatError for what it does not support, by name.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/tokenizer/added_tokens.h"
#include "io/tokenizer/decoder.h"
#include "io/tokenizer/json_node.h"
#include "io/tokenizer/model.h"
#include "io/tokenizer/normalizer.h"
#include "io/tokenizer/post_processor.h"
#include "io/tokenizer/pre_tokenizer.h"

namespace lazuli::tokenizer {

inline constexpr int kMaxNesting = 16;

/// Calls `each` for the component, or for those of a Sequence whose list is `list`.
template <typename Each>
void for_each_component(const JsonNode& node, std::string_view list, const Each& each, int nesting = 0) {
  if (node.type() != "Sequence") return each(node);
  if (nesting == kMaxNesting) node.fail(fmt::format("Sequences are nested more than {} deep", kMaxNesting));
  node.at(list).each_item([&](const JsonNode& item) { for_each_component(item, list, each, nesting + 1); });
}

/// Parts that several sections have: an expression, a pattern and what takes its place, a string of one character, Metaspace's scheme.
Regex read_regex(const JsonNode& expression);
Replace read_replace(const JsonNode& node);
std::string read_character(const JsonNode& node);
Metaspace::PrependScheme read_prepend_scheme(const JsonNode& node);

/// Ids below this bound may occur: tables indexed by id stay in proportion to the file.
std::size_t id_limit(std::size_t tokens);

Normalizer read_normalizer(const std::optional<JsonNode>& node);
PreTokenizer read_pre_tokenizer(const std::optional<JsonNode>& node);
Decoder read_decoder(const std::optional<JsonNode>& node);
PostProcessor read_post_processor(const std::optional<JsonNode>& node, std::size_t limit);
std::vector<AddedToken> read_added_tokens(const std::optional<JsonNode>& node, std::size_t limit);
/// May leave the spelling of bytes to `pre_tokenizer`.
Model read_model(const JsonNode& node, PreTokenizer& pre_tokenizer, std::size_t limit);

/// Adds a token of `node`, whose id must be below `limit`; refuses one that is there already.
void add_token(const JsonNode& node, std::string_view token, std::int64_t id, std::size_t limit, Vocabulary& vocabulary);
Vocabulary read_vocabulary(const JsonNode& node, std::size_t limit);
Bpe read_bpe(const JsonNode& node, PreTokenizer& pre_tokenizer, std::size_t limit);

}  // namespace lazuli::tokenizer
