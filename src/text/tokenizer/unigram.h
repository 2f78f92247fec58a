// Defines Unigram, the most probable cut of a piece of text into tokens.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "text/tokenizer/byte_fallback.h"
#include "text/tokenizer/byte_trie.h"
#include "text/tokenizer/vocabulary.h"

namespace lazuli::tokenizer {

/// Viterbi's best path over the tokens' log probabilities (Kudo 2018). Characters that no token starts with are unknown, a run of them one.
/// Time is bounded by the piece times the longest token.
class Unigram {
 public:
  /// How the best path to a place ends.
  struct Step {
    double score = 0;
    std::size_t begin = kUnreached;
    std::int32_t id = -1;
  };
  struct Scratch {
    std::vector<Step> steps;
    std::vector<std::int32_t> tokens;
  };

  /// `scores[id]` is the token's log probability.
  Unigram(Vocabulary vocabulary, std::vector<double> scores, std::optional<std::int32_t> unknown, bool byte_fallback);

  const Vocabulary& vocabulary() const { return vocabulary_; }

  /// Appends the ids of `piece`. Throws ValueError for a character that needs the unknown token where there is none.
  void encode(std::string_view piece, Scratch& scratch, std::vector<std::int32_t>& out) const;

 private:
  static constexpr std::size_t kUnreached = ~std::size_t{0};

  void encode_new(std::string_view piece, Scratch& scratch) const;
  void find_path(std::string_view piece, std::vector<Step>& steps) const;
  void append_reversed(std::string_view text, std::int32_t id, std::vector<std::int32_t>& ids) const;

  Vocabulary vocabulary_;
  std::vector<double> scores_;
  std::optional<std::int32_t> unknown_;
  bool byte_fallback_;
  double unknown_score_;
  ByteTrie tokens_;
  ByteIds fallback_ids_{};
  std::uint64_t owner_;
};

}  // namespace lazuli::tokenizer
