#include <algorithm>
#include <array>

#include "base/utf8.h"
#include "text/tokenizer/normalizer.h"
#include "text/tokenizer/unicode.h"

namespace lazuli::tokenizer {
namespace {

bool is_chinese(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B81F) ||
         (c >= 0x2B920 && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

// What becomes of each ASCII character; kGone for those left out.
constexpr char kGone = -1;
using AsciiTable = std::array<char, 128>;

AsciiTable ascii_table(bool clean_text, bool lowercase) {
  AsciiTable table{};
  for (std::size_t i = 0; i < table.size(); ++i) {
    const auto c = static_cast<char>(i);
    const bool space = c == '\t' || c == '\n' || c == '\r';
    table[i] = lowercase && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (clean_text && space) table[i] = ' ';
    if (clean_text && !space && (i < 0x20 || i == 0x7F)) table[i] = kGone;
  }
  return table;
}

// Cleans, sets Chinese characters apart, and makes ASCII lower case. True when other text is left.
bool clean(const BertNormalizer& options, std::string_view text, std::string& out) {
  static const AsciiTable tables[4] = {ascii_table(false, false), ascii_table(false, true), ascii_table(true, false),
                                       ascii_table(true, true)};
  const AsciiTable& table = tables[(options.clean_text ? 2 : 0) + (options.lowercase ? 1 : 0)];
  const UnicodeClasses& classes = UnicodeClasses::instance();
  bool foreign = false;
  for (std::size_t pos = 0; pos < text.size();) {
    if (const auto byte = static_cast<unsigned char>(text[pos]); byte < 0x80) {
      if (table[byte] != kGone) out.push_back(table[byte]);
      ++pos;
      continue;
    }
    const CodePoint c = code_point_at(text, pos);
    const std::string_view bytes = text.substr(pos, c.length);
    const std::uint16_t flags = options.clean_text ? classes.of(c.value) : std::uint16_t{0};
    pos += c.length;
    if ((flags & UnicodeClasses::kControl) != 0) continue;
    if ((flags & UnicodeClasses::kSpace) != 0) {
      out.push_back(' ');
    } else if (options.handle_chinese_chars && is_chinese(c.value)) {
      out.append(" ").append(bytes).append(" ");
      foreign = true;
    } else {
      out.append(bytes);
      foreign = true;
    }
  }
  return foreign;
}

}  // namespace

std::string_view BertNormalizer::apply(std::string_view text, std::string& storage) const {
  static thread_local std::string cleaned;
  static thread_local std::string decomposed;
  storage.clear();
  if (!clean(*this, text, storage) || (!strip_accents && !lowercase)) return storage;
  std::swap(cleaned, storage);
  const std::string_view formed = strip_accents ? UnicodeForm{false, false}.apply(cleaned, decomposed) : std::string_view(cleaned);
  const UnicodeClasses& classes = UnicodeClasses::instance();
  storage.clear();
  for (std::size_t pos = 0; pos < formed.size();) {
    const CodePoint c = code_point_at(formed, pos);
    pos += c.length;
    if (strip_accents && c.value >= 0x80 && (classes.of(c.value) & UnicodeClasses::kNonspacing) != 0) continue;
    lowercase ? append_lower(c.value, storage) : append_utf8(storage, c.value);
  }
  return storage;
}

}  // namespace lazuli::tokenizer
