#include "text/tokenizer/precompiled.h"

#include <utf8proc.h>

#include <algorithm>

#include "base/utf8.h"
#include "lazuli/error.h"
#include "text/tokenizer/base64.h"
#include "text/tokenizer/unicode.h"

namespace lazuli::tokenizer {
namespace {

constexpr std::size_t kLongestGrapheme = 5;

std::uint32_t word_at(std::string_view bytes, std::size_t pos) {
  std::uint32_t word = 0;
  for (std::size_t i = 4; i > 0; --i) word = word << 8 | static_cast<unsigned char>(bytes[pos + i - 1]);
  return word;
}

// A unit of the double array has its byte in the low bits, a flag for a value, and how far its children lie.
std::size_t offset_of(std::uint32_t unit) { return static_cast<std::size_t>(unit >> 10) << ((unit & 1U << 9) >> 6); }
std::uint32_t label_of(std::uint32_t unit) { return unit & (1U << 31 | 0xFF); }
bool has_value(std::uint32_t unit) { return (unit >> 8 & 1) != 0; }
std::size_t value_in(std::uint32_t unit) { return unit & ((1U << 31) - 1); }

// End of the grapheme that starts at `pos`.
std::size_t grapheme_end(std::string_view text, std::size_t pos) {
  utf8proc_int32_t state = 0;
  CodePoint last = code_point_at(text, pos);
  pos += last.length;
  while (pos < text.size()) {
    const CodePoint next = code_point_at(text, pos);
    const bool plain = last.value < 0x80 && next.value < 0x80 && !(last.value == U'\r' && next.value == U'\n');
    if (plain ||
        utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(last.value), static_cast<utf8proc_int32_t>(next.value), &state)) {
      break;
    }
    last = next;
    pos += next.length;
  }
  return pos;
}

}  // namespace

Precompiled::Precompiled(std::string_view base64) {
  const auto decoded = from_base64(base64);
  if (!decoded) throw FormatError("is not base64");
  const std::string& bytes = *decoded;
  if (bytes.size() < 4) throw FormatError("is too short");
  const std::size_t size = word_at(bytes, 0);
  if (size % 4 != 0 || size == 0 || size > bytes.size() - 4) throw FormatError("has a trie that goes past its end");
  for (std::size_t pos = 4; pos < 4 + size; pos += 4) units_.push_back(word_at(bytes, pos));
  replacements_ = bytes.substr(4 + size);
  if (!is_utf8(replacements_)) throw FormatError("has replacements that are not UTF-8");
}

std::optional<std::string_view> Precompiled::find(std::string_view text) const {
  std::size_t node = offset_of(units_[0]);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    node ^= byte;
    if (byte == 0 || node >= units_.size() || label_of(units_[node]) != byte) return std::nullopt;
    const std::uint32_t unit = units_[node];
    node ^= offset_of(unit);
    if (!has_value(unit)) continue;
    if (node >= units_.size()) return std::nullopt;
    const std::size_t start = value_in(units_[node]);
    if (start > replacements_.size()) return std::nullopt;
    const std::size_t end = std::min(replacements_.find('\0', start), replacements_.size());
    // A place inside a character is none.
    if (start < end && continues_character(replacements_[start])) return std::nullopt;
    return std::string_view(replacements_).substr(start, end - start);
  }
  return std::nullopt;
}

void Precompiled::append(std::string_view grapheme, std::string& out) const {
  if (grapheme.size() <= kLongestGrapheme) {
    if (const auto replacement = find(grapheme)) {
      out.append(*replacement);
      return;
    }
  }
  for (std::size_t pos = 0; pos < grapheme.size();) {
    const std::string_view character = grapheme.substr(pos, code_point_at(grapheme, pos).length);
    out.append(find(character).value_or(character));
    pos += character.size();
  }
}

std::string_view Precompiled::apply(std::string_view text, std::string& storage) const {
  storage.clear();
  for (std::size_t pos = 0; pos < text.size();) {
    const std::size_t end = grapheme_end(text, pos);
    append(text.substr(pos, end - pos), storage);
    pos = end;
  }
  return storage;
}

}  // namespace lazuli::tokenizer
