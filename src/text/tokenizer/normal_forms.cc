#include "text/tokenizer/normal_forms.h"

#include <utf8proc.h>

#include <algorithm>
#include <vector>

#include "base/utf8.h"
#include "text/tokenizer/unicode.h"

namespace lazuli::tokenizer {
namespace {

constexpr auto kCompose = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);

using CodePoints = std::vector<utf8proc_int32_t>;

int combining_class(utf8proc_int32_t code_point) { return known_combining_class(static_cast<char32_t>(code_point)); }

void append_decomposed(char32_t code_point, bool compatible, CodePoints& out) {
  constexpr int kMost = 32;  // the longest has 18
  utf8proc_int32_t parts[kMost];
  int boundary = 0;
  const int options = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0);
  const auto count = is_known_decomposition(code_point) ? utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code_point), parts, kMost,
                                                                                  static_cast<utf8proc_option_t>(options), &boundary)
                                                        : 0;
  if (count < 1 || count > kMost) {
    out.push_back(static_cast<utf8proc_int32_t>(code_point));
  } else {
    out.insert(out.end(), parts, parts + count);
  }
}

// utf8proc's own reordering is quadratic in the length of a run of marks.
void sort_marks(CodePoints& points) {
  const auto by_class = [](utf8proc_int32_t a, utf8proc_int32_t b) { return combining_class(a) < combining_class(b); };
  for (auto at = points.begin(); at != points.end();) {
    if (combining_class(*at) == 0) {
      ++at;
      continue;
    }
    const auto end = std::find_if(at, points.end(), [](utf8proc_int32_t c) { return combining_class(c) == 0; });
    if (end - at > 1) std::stable_sort(at, end, by_class);
    at = end;
  }
}

void append_formed(std::string_view segment, UnicodeForm form, CodePoints& points, std::string& out) {
  points.clear();
  for (std::size_t pos = 0; pos < segment.size();) {
    const CodePoint c = code_point_at(segment, pos);
    append_decomposed(c.value, form.compatible, points);
    pos += c.length;
  }
  sort_marks(points);
  auto count = static_cast<utf8proc_ssize_t>(points.size());
  if (form.compose) count = utf8proc_normalize_utf32(points.data(), count, kCompose);
  for (utf8proc_ssize_t i = 0; i < count; ++i) append_utf8(out, static_cast<char32_t>(points[static_cast<std::size_t>(i)]));
}

// ASCII is every form of itself. So is what lies below U+0300, whose first byte is below 0xCC, in NFC, and it joins nothing before it.
bool is_plain(std::string_view text, UnicodeForm form) {
  const unsigned char bound = form.compose && !form.compatible ? 0xCC : 0x80;
  return std::all_of(text.begin(), text.end(), [bound](char c) { return static_cast<unsigned char>(c) < bound; });
}

std::uint16_t flags_of(UnicodeForm form) {
  if (form.compose) return form.compatible ? UnicodeClasses::kComposes | UnicodeClasses::kCompatible : UnicodeClasses::kComposes;
  return form.compatible ? UnicodeClasses::kCompatible : UnicodeClasses::kDecomposes;
}

}  // namespace

std::string_view UnicodeForm::apply(std::string_view text, std::string& storage) const {
  if (is_plain(text, *this)) return text;
  const UnicodeClasses& classes = UnicodeClasses::instance();
  const std::uint16_t flags = flags_of(*this);
  const auto changes = [&](CodePoint c) { return (classes.of(c.value) & flags) != 0; };
  static thread_local CodePoints points;
  storage.clear();
  std::size_t copied = 0;
  std::size_t segment = 0;  // start of the last character that stays as it is, which marks may join
  for (std::size_t pos = 0; pos < text.size();) {
    CodePoint c = code_point_at(text, pos);
    if (!changes(c)) {
      segment = pos;
      pos += c.length;
      continue;
    }
    if (!compose) segment = pos;
    while (pos < text.size() && changes(c = code_point_at(text, pos))) pos += c.length;
    storage.append(text.substr(copied, segment - copied));
    append_formed(text.substr(segment, pos - segment), *this, points, storage);
    copied = segment = pos;
  }
  if (copied == 0) return text;
  storage.append(text.substr(copied));
  return storage;
}

}  // namespace lazuli::tokenizer
