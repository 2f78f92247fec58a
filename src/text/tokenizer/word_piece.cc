#include "text/tokenizer/word_piece.h"

#include <utility>

#include "text/tokenizer/unicode.h"
#include "text/tokenizer/word_cache.h"

namespace lazuli::tokenizer {
namespace {

// The tokens that start with `prefix`, without it.
ByteTrie trie_of(const Vocabulary& vocabulary, std::string_view prefix) {
  std::vector<std::pair<std::string_view, std::int32_t>> entries;
  for (std::int32_t id = 0; id < vocabulary.size(); ++id) {
    const auto token = vocabulary.token(id);
    if (token && token->starts_with(prefix)) entries.emplace_back(token->substr(prefix.size()), id);
  }
  return ByteTrie(std::move(entries));
}

}  // namespace

WordPiece::WordPiece(Vocabulary vocabulary, Options options)
    : vocabulary_(std::move(vocabulary)),
      options_(std::move(options)),
      starts_(trie_of(vocabulary_, "")),
      continuations_(trie_of(vocabulary_, options_.prefix)),
      owner_(next_cache_owner()) {}

void WordPiece::encode(std::string_view piece, Scratch& scratch, std::vector<std::int32_t>& out) const {
  encode_cached(piece, owner_, scratch.pieces, out, [&] { encode_new(piece, scratch.pieces); });
}

void WordPiece::encode_new(std::string_view piece, std::vector<std::int32_t>& ids) const {
  if (piece.size() > options_.most_characters && count_characters(piece) > options_.most_characters) {
    ids.push_back(options_.unknown);
    return;
  }
  for (std::size_t pos = 0; pos < piece.size();) {
    const ByteTrie::Match match = (pos == 0 ? starts_ : continuations_).longest(piece.substr(pos));
    if (match.value < 0) {
      ids.assign(1, options_.unknown);
      return;
    }
    ids.push_back(match.value);
    pos += match.length;
  }
}

}  // namespace lazuli::tokenizer
