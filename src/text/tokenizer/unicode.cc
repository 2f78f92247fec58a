#include "text/tokenizer/unicode.h"

#include <utf8proc.h>

#include <unordered_map>

#include "text/tokenizer/unicode_ranges.h"

namespace lazuli::tokenizer {
namespace {

bool is_mark(int category) {
  return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC || category == UTF8PROC_CATEGORY_ME;
}

bool is_punctuation(char32_t c, int category) {
  if (c < 0x80) return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
  if (c == 0x166D || c == 0x111C9) return true;  // which later versions class otherwise
  return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO && !within(kLaterPunctuation, c);
}

bool is_control(char32_t c, int category) {
  if (c == U'\t' || c == U'\n' || c == U'\r') return false;
  const bool other = category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF || category == UTF8PROC_CATEGORY_CO;
  return c == 0xFFFD || (other && !within(kLaterFormats, c));
}

bool is_hangul_syllable(char32_t c) { return c >= 0xAC00 && c <= 0xD7A3; }

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
  if (!is_mark(property.category) && property.combining_class == 0 && !changes_alone(c, property)) return false;
  // A mark that the version does not know stands for itself, and so do the two that would join to one it does not know.
  return !within(kLaterClasses, c) && c != 0x11930 && c != 0x11938;
}

std::uint16_t form_flags_of(char32_t c, const utf8proc_property_t& property) {
  std::uint16_t flags = 0;
  if (composes(c, property)) flags |= UnicodeClasses::kComposes;
  if (known_combining_class(c) != 0 || is_hangul_syllable(c)) flags |= UnicodeClasses::kDecomposes | UnicodeClasses::kCompatible;
  if (property.decomp_seqindex != UINT16_MAX && is_known_decomposition(c)) {
    flags |= UnicodeClasses::kCompatible;
    if (property.decomp_type == 0) flags |= UnicodeClasses::kDecomposes;
  }
  return flags;
}

std::uint16_t flags_of(char32_t c) {
  const utf8proc_property_t& property = *utf8proc_get_property(static_cast<utf8proc_int32_t>(c));
  const int category = property.category;
  std::uint16_t flags = form_flags_of(c, property);
  const bool letter = (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) || within(kNewLetters, c);
  const bool number = (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO) || within(kNewNumbers, c);
  const bool space = (category >= UTF8PROC_CATEGORY_ZS && category <= UTF8PROC_CATEGORY_ZP) || (c >= 0x09 && c <= 0x0D) || c == 0x85;
  const bool new_word = within(kNewNumbers, c) || within(kNewMarks, c) || within(kAlphabeticSymbols, c);
  const bool word = letter || is_mark(category) || category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL ||
                    category == UTF8PROC_CATEGORY_PC || c == 0x200C || c == 0x200D || new_word;
  const bool nonspacing = (category == UTF8PROC_CATEGORY_MN && !within(kLaterNonspacing, c)) || c == 0x1734;
  const bool mark = (is_mark(category) && !within(kLaterMarks, c)) || c == 0x1CF2 || c == 0x1CF3;
  if (letter) flags |= UnicodeClasses::kLetter;
  if (number) flags |= UnicodeClasses::kNumber;
  if (number || within(kNewestNumbers, c)) flags |= UnicodeClasses::kNumeric;
  if (space) flags |= UnicodeClasses::kSpace;
  if (word) flags |= UnicodeClasses::kWord;
  if (is_punctuation(c, category)) flags |= UnicodeClasses::kPunctuation;
  if (is_control(c, category)) flags |= UnicodeClasses::kControl;
  if (nonspacing) flags |= UnicodeClasses::kNonspacing;
  if (mark) flags |= UnicodeClasses::kMark;
  return flags;
}

}  // namespace

int known_combining_class(char32_t c) {
  const int value = utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->combining_class;
  return value != 0 && within(kLaterClasses, c) ? 0 : value;
}

bool is_known_decomposition(char32_t c) { return !within(kLaterDecompositions, c); }

const UnicodeClasses& UnicodeClasses::instance() {
  static const UnicodeClasses classes;
  return classes;
}

UnicodeClasses::UnicodeClasses() {
  std::unordered_map<std::u16string, std::uint16_t> known;
  blocks_.emplace_back();  // all zero, for the planes that hold nothing assigned
  for (std::size_t b = 0; b < index_.size(); ++b) {
    const std::size_t plane = b >> 8;
    if (plane > 3 && plane < 14) continue;
    // The private planes are alike throughout but for their ends.
    if (plane > 14 && (b & 0xFF) != 0 && (b & 0xFF) != 0xFF) {
      index_[b] = index_[b - 1];
      continue;
    }
    Block block;
    for (std::size_t i = 0; i < block.size(); ++i) block[i] = flags_of(static_cast<char32_t>(b << 8 | i));
    const auto next = static_cast<std::uint16_t>(blocks_.size());
    const auto [entry, added] = known.try_emplace(std::u16string(block.begin(), block.end()), next);
    if (added) blocks_.push_back(block);
    index_[b] = entry->second;
  }
}

}  // namespace lazuli::tokenizer
