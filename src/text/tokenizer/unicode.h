// Defines the reading of code points, and the Unicode classes that tokenizers split text by.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lazuli::tokenizer {

struct CodePoint {
  char32_t value;
  std::size_t length;
};

/// Reads the character at `pos`; the text must be valid UTF-8 and `pos` the start of a character.
inline CodePoint code_point_at(std::string_view text, std::size_t pos) {
  const auto byte = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[pos + i])); };
  const char32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xE0) return {(lead & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (lead < 0xF0) return {(lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F), 4};
}

/// Whether a byte of UTF-8 goes on with a character that an earlier one started.
inline bool continues_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

/// The characters of a text, which must be valid UTF-8.
inline std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !continues_character(c); }));
}

/// Start of the character that ends just before `pos`, which must not be 0.
inline std::size_t previous_start(std::string_view text, std::size_t pos) {
  do --pos;
  while (pos > 0 && continues_character(text[pos]));
  return pos;
}

/// Combining class in the Unicode version of published tokenizers' normal forms, and whether that version decomposes a character as
/// utf8proc's does.
int known_combining_class(char32_t code_point);
bool is_known_decomposition(char32_t code_point);

/// Flags of every code point, filled once from utf8proc; blocks of 256 code points with equal flags share memory.
class UnicodeClasses {
 public:
  static constexpr std::uint16_t kLetter = 1;    // \p{L}
  static constexpr std::uint16_t kNumber = 2;    // \p{N}
  static constexpr std::uint16_t kSpace = 4;     // \s
  static constexpr std::uint16_t kWord = 8;      // \w
  static constexpr std::uint16_t kNumeric = 16;  // \p{N} of a newer version
  // NFC may change it, move it, or join it to what comes before.
  static constexpr std::uint16_t kComposes = 32;
  // NFD may change or move it; NFKD may.
  static constexpr std::uint16_t kDecomposes = 64;
  static constexpr std::uint16_t kCompatible = 128;
  // Those of BERT.
  static constexpr std::uint16_t kPunctuation = 256;
  static constexpr std::uint16_t kControl = 512;
  static constexpr std::uint16_t kNonspacing = 1024;
  // \p{M}
  static constexpr std::uint16_t kMark = 2048;

  static const UnicodeClasses& instance();

  std::uint16_t of(char32_t code_point) const {
    return code_point < 0x110000 ? blocks_[index_[code_point >> 8]][code_point & 0xFF] : std::uint16_t{0};
  }

 private:
  using Block = std::array<std::uint16_t, 256>;

  UnicodeClasses();

  std::array<std::uint16_t, 0x1100> index_{};
  std::vector<Block> blocks_;
};

}  // namespace lazuli::tokenizer
