// Defines Precompiled, the normaliser that sentencepiece compiles its rules into.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lazuli::tokenizer {

/// A trie of texts and what takes their place. Applied to a grapheme of up to five bytes if the trie has the start of it, else to each of
/// its characters, as the tokenizers package does.
class Precompiled {
 public:
  /// Reads the rules in base64. Throws FormatError when they are none.
  explicit Precompiled(std::string_view base64);

  std::string_view apply(std::string_view text, std::string& storage) const;

 private:
  std::optional<std::string_view> find(std::string_view text) const;
  void append(std::string_view grapheme, std::string& out) const;

  std::vector<std::uint32_t> units_;
  std::string replacements_;  // each ended by a zero byte
};

}  // namespace lazuli::tokenizer
