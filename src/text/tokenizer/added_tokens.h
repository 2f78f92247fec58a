// Defines AddedTokens, the tokens that are found in a text before the model sees it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/tokenizer/flat_map.h"
#include "text/tokenizer/normalizer.h"

namespace lazuli::tokenizer {

struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  /// What it is decoded as: the content, normalised where texts are before it is looked for.
  std::string decoded;
  /// Not inside a word.
  bool single_word = false;
  /// Takes the spaces before it, or after it.
  bool lstrip = false;
  bool rstrip = false;
  /// Looked for in the normalised text.
  bool normalized = false;
  bool special = false;
};

/// Finds strings by a trie, the longest at the leftmost place. Time is bounded by the text times the longest string.
class TokenTrie {
 public:
  struct Match {
    std::size_t begin;
    std::size_t end;
    std::size_t token;
  };

  /// `strings[i]` stands for token `tokens[i]`; the first of equal strings counts.
  TokenTrie(const std::vector<std::string>& strings, const std::vector<std::size_t>& tokens);

  std::optional<Match> find(std::string_view text, std::size_t from) const;
  bool empty() const { return token_.size() == 1; }

 private:
  std::array<bool, 256> starts_{};
  FlatMap<std::uint32_t> children_;
  std::vector<std::int64_t> token_;
};

class AddedTokens {
 public:
  static constexpr std::size_t kMaxBytes = 1024;

  /// A part of a text: a token's, or text when `id` is negative.
  struct Part {
    std::size_t begin;
    std::size_t end;
    std::int32_t id;
  };

  explicit AddedTokens(std::vector<AddedToken> tokens = {}, const Normalizer& normalizer = {});
  AddedTokens(AddedTokens&&) = default;
  AddedTokens& operator=(AddedTokens&&) = default;

  /// Parts of a text that is not normalised yet, by the tokens to look for there.
  void split_raw(std::string_view text, bool allow_special, std::vector<Part>& out) const { split(raw_, text, allow_special, out); }
  /// The same for a normalised text.
  void split_normalized(std::string_view text, bool allow_special, std::vector<Part>& out) const {
    split(normalized_, text, allow_special, out);
  }

  const AddedToken* find(std::string_view content) const;
  const AddedToken* find(std::int32_t id) const;
  const std::vector<AddedToken>& all() const { return tokens_; }

 private:
  void split(const TokenTrie& trie, std::string_view text, bool allow_special, std::vector<Part>& out) const;
  TokenTrie make_trie(bool normalized, const Normalizer& normalizer) const;

  std::vector<AddedToken> tokens_;
  TokenTrie raw_;
  TokenTrie normalized_;
  std::unordered_map<std::string_view, std::size_t> by_content_;  // of the strings in tokens_
  std::unordered_map<std::int32_t, std::size_t> by_id_;
};

}  // namespace lazuli::tokenizer
