// Defines IdMerge and SplitFinder, which finds the merges of a BPE vocabulary that comes without a list of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "text/tokenizer/byte_trie.h"
#include "text/tokenizer/vocabulary.h"

namespace lazuli::tokenizer {

/// Bounds the time that finding the merges takes, which grows with a token's length.
inline constexpr std::size_t kMaxPieceBytes = 1024;

/// A merge by ids; a list of them is in the order of their ranks.
struct IdMerge {
  std::int32_t left;
  std::int32_t right;
  std::int32_t result;
};

/// Finds the pairs of tokens that make up a token. There are at most as many as the token has bytes.
class SplitFinder {
 public:
  /// Where a token may be cut.
  enum class Cut { bytes, characters };

  /// `vocabulary` must outlive the finder; its tokens have at most kMaxPieceBytes.
  SplitFinder(const Vocabulary& vocabulary, Cut cut);

  /// Appends the pairs that make `id`, the shortest left token first.
  void append(std::int32_t id, std::vector<IdMerge>& out) const;

 private:
  const Vocabulary& vocabulary_;
  Cut cut_;
  ByteTrie tokens_;
};

}  // namespace lazuli::tokenizer
