// Defines what a loaded Tokenizer holds.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "lazuli/tokenizer.h"
#include "text/tokenizer/added_tokens.h"
#include "text/tokenizer/decoder.h"
#include "text/tokenizer/model.h"
#include "text/tokenizer/normalizer.h"
#include "text/tokenizer/post_processor.h"
#include "text/tokenizer/pre_tokenizer.h"

namespace lazuli {

struct Tokenizer::Tables {
  explicit Tables(tokenizer::Model a_model) : model(std::move(a_model)) {}

  std::optional<std::int32_t> token_to_id(std::string_view token) const;
  std::optional<std::string_view> id_to_token(std::int32_t id) const;

  /// How many of a text's own ids `options` leave room for. Throws ValueError when there is none even for what is put around them.
  std::size_t room(const EncodeOptions& options, bool pair) const;

  /// Cuts a text's own ids to `size`.
  void cut(std::vector<std::int32_t>& ids, std::size_t size) const;

  tokenizer::Normalizer normalizer;
  tokenizer::PreTokenizer pre_tokenizer;
  tokenizer::Model model;
  tokenizer::AddedTokens added;
  tokenizer::PostProcessor post_processor;
  tokenizer::Decoder decoder;

  /// Texts that are too long lose their start.
  bool cut_left = false;
  /// Special tokens in a text are split like any text.
  bool split_special = false;
  std::int32_t vocab_size = 0;
  std::optional<std::int32_t> bos;
  std::optional<std::int32_t> pad;
  std::vector<std::int32_t> eos;
};

}  // namespace lazuli
