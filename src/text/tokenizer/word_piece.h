// Defines WordPiece, the longest-match-first encoding of one word.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/byte_trie.h"
#include "text/tokenizer/vocabulary.h"

namespace lazuli::tokenizer {

/// A word is cut from its start into the longest tokens of the vocabulary, where tokens inside it carry a prefix. A word that cannot be cut
/// so, or that is too long, is unknown. Time is bounded by the word times the longest token.
class WordPiece {
 public:
  struct Options {
    std::int32_t unknown = 0;
    std::string prefix = "##";
    std::size_t most_characters = 100;
  };
  struct Scratch {
    std::vector<std::int32_t> pieces;
  };

  WordPiece(Vocabulary vocabulary, Options options);

  const Vocabulary& vocabulary() const { return vocabulary_; }

  /// Appends the ids of `piece`.
  void encode(std::string_view piece, Scratch& scratch, std::vector<std::int32_t>& out) const;

 private:
  void encode_new(std::string_view piece, std::vector<std::int32_t>& ids) const;

  Vocabulary vocabulary_;
  Options options_;
  ByteTrie starts_;
  ByteTrie continuations_;
  std::uint64_t owner_;
};

}  // namespace lazuli::tokenizer
