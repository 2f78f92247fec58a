#include "io/tokenizer/unicode.h"

#include <utf8proc.h>

#include <cstring>
#include <unordered_map>

namespace lazuli::tokenizer {
namespace {

struct Range {
  char32_t first;
  char32_t last;
};

// The expressions of published tokenizers are run with the classes of Unicode 16; these are the letters and numbers that an older utf8proc
// does not know.
constexpr Range kNewLetters[] = {
    {0x1C89, 0x1C8A},   {0xA7CB, 0xA7CD},   {0xA7DA, 0xA7DC},   {0x105C0, 0x105F3}, {0x10D4A, 0x10D65}, {0x10D6F, 0x10D85},
    {0x10EC2, 0x10EC4}, {0x11380, 0x11389}, {0x1138B, 0x1138B}, {0x1138E, 0x1138E}, {0x11390, 0x113B5}, {0x113B7, 0x113B7},
    {0x113D1, 0x113D1}, {0x113D3, 0x113D3}, {0x11BC0, 0x11BE0}, {0x13460, 0x143FA}, {0x16100, 0x1611D}, {0x16D40, 0x16D6C},
    {0x18CFF, 0x18CFF}, {0x1E5D0, 0x1E5ED}, {0x1E5F0, 0x1E5F0}, {0x2EBF0, 0x2EE5D},
};
constexpr Range kNewNumbers[] = {
    {0x10D40, 0x10D49}, {0x116D0, 0x116E3}, {0x11BF0, 0x11BF9}, {0x16130, 0x16139},
    {0x16D70, 0x16D79}, {0x1CCF0, 0x1CCF9}, {0x1E5F1, 0x1E5FA},
};
// Alphabetic symbols, the part of \w that the general category does not tell.
constexpr Range kAlphabeticSymbols[] = {{0x24B6, 0x24E9}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}};

template <std::size_t N>
bool within(const Range (&ranges)[N], char32_t code_point) {
  for (const Range& range : ranges) {
    if (code_point >= range.first && code_point <= range.last) return true;
  }
  return false;
}

bool is_mark(int category) {
  return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC || category == UTF8PROC_CATEGORY_ME;
}

// Whether NFC of the character alone is another text.
bool changes_alone(char32_t code_point, const utf8proc_property_t& property) {
  if (property.decomp_seqindex == UINT16_MAX || property.decomp_type != 0) return false;
  constexpr auto kOptions = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
  utf8proc_int32_t parts[16];
  int boundary = 0;
  const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code_point), parts, 16, kOptions, &boundary);
  if (count < 1 || count > 16) return true;
  return utf8proc_normalize_utf32(parts, count, kOptions) != 1 || parts[0] != static_cast<utf8proc_int32_t>(code_point);
}

bool composes(char32_t c, const utf8proc_property_t& property) {
  // Vowels and finals of Hangul and the vowels of Kirat Rai are letters that join the letter before.
  if ((c >= 0x1160 && c <= 0x11FF) || (c >= 0x16D63 && c <= 0x16D6A)) return true;
  return is_mark(property.category) || property.combining_class != 0 || changes_alone(c, property);
}

std::uint8_t flags_of(char32_t c) {
  const utf8proc_property_t& property = *utf8proc_get_property(static_cast<utf8proc_int32_t>(c));
  const int category = property.category;
  std::uint8_t flags = 0;
  const bool letter = (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) || within(kNewLetters, c);
  const bool number = (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO) || within(kNewNumbers, c);
  const bool space = (category >= UTF8PROC_CATEGORY_ZS && category <= UTF8PROC_CATEGORY_ZP) || (c >= 0x09 && c <= 0x0D) || c == 0x85;
  const bool word = letter || is_mark(category) || category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL ||
                    category == UTF8PROC_CATEGORY_PC || c == 0x200C || c == 0x200D || within(kAlphabeticSymbols, c);
  if (letter) flags |= UnicodeClasses::kLetter;
  if (number) flags |= UnicodeClasses::kNumber;
  if (space) flags |= UnicodeClasses::kSpace;
  if (word) flags |= UnicodeClasses::kWord;
  if (composes(c, property)) flags |= UnicodeClasses::kComposes;
  return flags;
}

enum class Sequence { whole, cut_short, invalid };

// Judges the sequence at `pos`; `length` is the bytes it has, or those of the maximal part when it is not whole.
Sequence judge(std::string_view bytes, std::size_t pos, std::size_t& length) {
  const auto lead = static_cast<unsigned char>(bytes[pos]);
  length = 1;
  if (lead < 0x80) return Sequence::whole;
  if (lead < 0xC2 || lead > 0xF4) return Sequence::invalid;
  const std::size_t need = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (; length < need; ++length) {
    if (pos + length == bytes.size()) return Sequence::cut_short;
    const auto next = static_cast<unsigned char>(bytes[pos + length]);
    if (next < low || next > high) return Sequence::invalid;
    low = 0x80;
    high = 0xBF;
  }
  return Sequence::whole;
}

// End of the UTF-8 that starts at `pos`.
std::size_t whole_until(std::string_view bytes, std::size_t pos) {
  while (pos < bytes.size()) {
    std::uint64_t word = 0;
    if (pos + sizeof word <= bytes.size()) {
      std::memcpy(&word, bytes.data() + pos, sizeof word);
      if ((word & 0x8080808080808080U) == 0) {
        pos += sizeof word;
        continue;
      }
    }
    std::size_t length = 0;
    if (judge(bytes, pos, length) != Sequence::whole) break;
    pos += length;
  }
  return pos;
}

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

}  // namespace

void append_utf8(std::string& out, char32_t c) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) return put(c);
  if (c < 0x800) {
    put(0xC0 | c >> 6);
  } else {
    if (c < 0x10000) {
      put(0xE0 | c >> 12);
    } else {
      put(0xF0 | c >> 18);
      put(0x80 | (c >> 12 & 0x3F));
    }
    put(0x80 | (c >> 6 & 0x3F));
  }
  put(0x80 | (c & 0x3F));
}

std::size_t append_repaired(std::string_view bytes, std::string& out) {
  std::size_t pos = 0;
  while (pos < bytes.size()) {
    const std::size_t end = whole_until(bytes, pos);
    out.append(bytes.substr(pos, end - pos));
    pos = end;
    if (pos == bytes.size()) break;
    std::size_t length = 0;
    if (judge(bytes, pos, length) == Sequence::cut_short) return length;
    out.append(kReplacement);
    pos += length;
  }
  return 0;
}

std::string_view repaired(std::string_view text, std::string& storage) {
  if (whole_until(text, 0) == text.size()) return text;
  storage.clear();
  if (append_repaired(text, storage) != 0) storage.append(kReplacement);
  return storage;
}

const UnicodeClasses& UnicodeClasses::instance() {
  static const UnicodeClasses classes;
  return classes;
}

UnicodeClasses::UnicodeClasses() {
  std::unordered_map<std::string, std::uint16_t> known;
  blocks_.emplace_back();  // all zero, for the planes that hold nothing assigned
  for (std::size_t b = 0; b < index_.size(); ++b) {
    const std::size_t plane = b >> 8;
    if (plane > 3 && plane != 14) continue;
    Block block;
    for (std::size_t i = 0; i < block.size(); ++i) block[i] = flags_of(static_cast<char32_t>(b << 8 | i));
    const auto next = static_cast<std::uint16_t>(blocks_.size());
    const auto [entry, added] = known.try_emplace(std::string(block.begin(), block.end()), next);
    if (added) blocks_.push_back(block);
    index_[b] = entry->second;
  }
}

}  // namespace lazuli::tokenizer
