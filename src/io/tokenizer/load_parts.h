// Defines the readers of tokenizer.json's sections; each throws FormatError for what it does not support, by name.
#pragma once

#include <optional>

#include "io/tokenizer/added_tokens.h"
#include "io/tokenizer/decoder.h"
#include "io/tokenizer/json_node.h"
#include "io/tokenizer/model.h"
#include "io/tokenizer/normalizer.h"
#include "io/tokenizer/post_processor.h"
#include "io/tokenizer/pre_tokenizer.h"

namespace lazuli::tokenizer {

/// Ids below this bound may occur: tables indexed by id stay in proportion to the file.
std::size_t id_limit(std::size_t tokens);

Normalizer read_normalizer(const std::optional<JsonNode>& node);
PreTokenizer read_pre_tokenizer(const std::optional<JsonNode>& node);
Decoder read_decoder(const std::optional<JsonNode>& node);
PostProcessor read_post_processor(const std::optional<JsonNode>& node, std::size_t limit);
std::vector<AddedToken> read_added_tokens(const std::optional<JsonNode>& node, std::size_t limit);
Model read_model(const JsonNode& node, bool byte_level, std::size_t limit);

}  // namespace lazuli::tokenizer
