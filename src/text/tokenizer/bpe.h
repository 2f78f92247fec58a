// Defines Bpe, the byte-pair encoding of one piece of text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/tokenizer/byte_fallback.h"
#include "text/tokenizer/flat_map.h"
#include "text/tokenizer/vocabulary.h"

namespace lazuli::tokenizer {

/// Two neighbouring symbols become `result`; the lowest rank goes first.
struct Merge {
  std::uint32_t rank;
  std::int32_t result;
};

inline std::uint64_t merge_key(std::int32_t left, std::int32_t right) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
}

struct BpeOptions {
  /// Symbols start as bytes spelled in the byte-level alphabet, else as characters.
  bool byte_level = true;
  /// A piece that is a token becomes it without merging.
  bool ignore_merges = false;
  /// Stands for symbols that are not in the vocabulary, which are left out without it.
  std::optional<std::int32_t> unknown;
  /// One unknown id for a run of unknown symbols.
  bool fuse_unknown = false;
  /// A symbol that is not in the vocabulary becomes its bytes' tokens, `<0x00>` to `<0xFF>`, if it has them all. These three are for
  /// characters only.
  bool byte_fallback = false;
  /// Put before every symbol but a piece's first, and after its last.
  std::string prefix = {};
  std::string suffix = {};
};

/// Neighbouring pairs are merged by rank, the leftmost first among equals (Sennrich et al. 2016).
class Bpe {
 public:
  /// Memory that calls of one thread share.
  struct Scratch {
    std::string spelled;
    std::vector<std::int32_t> ids;
    std::vector<std::uint32_t> ranks;
    std::vector<std::size_t> next;
    std::vector<std::size_t> previous;
    std::vector<std::pair<std::uint32_t, std::size_t>> queue;
  };

  Bpe(Vocabulary vocabulary, FlatMap<Merge> merges, BpeOptions options);

  const Vocabulary& vocabulary() const { return vocabulary_; }

  /// Appends the ids of `piece`. Short words come from a cache of bounded size that the thread keeps.
  void encode(std::string_view piece, Scratch& scratch, std::vector<std::int32_t>& out) const;

 private:
  void encode_new(std::string_view piece, Scratch& scratch) const;
  void start_bytes(std::string_view piece, std::vector<std::int32_t>& ids) const;
  void start_characters(std::string_view piece, Scratch& scratch) const;
  void merge_short(std::vector<std::int32_t>& ids) const;
  void merge_long(Scratch& scratch) const;
  const Merge* merge_of(std::int32_t left, std::int32_t right) const { return merges_.find(merge_key(left, right)); }

  Vocabulary vocabulary_;
  FlatMap<Merge> merges_;
  BpeOptions options_;
  ByteIds byte_ids_{};
  ByteIds fallback_ids_{};
  ByteIds ascii_ids_{};
  std::uint64_t owner_;
};

}  // namespace lazuli::tokenizer
