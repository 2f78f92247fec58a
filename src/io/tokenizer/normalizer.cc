#include "io/tokenizer/normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <utility>

#include "io/tokenizer/unicode.h"

namespace lazuli::tokenizer {
namespace {

constexpr auto kOptions = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);

using CodePoints = std::vector<utf8proc_int32_t>;

int combining_class(utf8proc_int32_t code_point) { return utf8proc_get_property(code_point)->combining_class; }

void append_decomposed(char32_t code_point, CodePoints& out) {
  utf8proc_int32_t parts[16];
  int boundary = 0;
  const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code_point), parts, 16, kOptions, &boundary);
  if (count < 1 || count > 16) {
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

void append_composed(std::string_view segment, CodePoints& points, std::string& out) {
  points.clear();
  for (std::size_t pos = 0; pos < segment.size();) {
    const CodePoint c = code_point_at(segment, pos);
    append_decomposed(c.value, points);
    pos += c.length;
  }
  sort_marks(points);
  const auto count = utf8proc_normalize_utf32(points.data(), static_cast<utf8proc_ssize_t>(points.size()), kOptions);
  for (utf8proc_ssize_t i = 0; i < count; ++i) append_utf8(out, static_cast<char32_t>(points[static_cast<std::size_t>(i)]));
}

// Every character below U+0300, whose first byte is below 0xCC, is its own normal form and joins nothing before it.
bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0xCC; });
}

}  // namespace

std::string_view Nfc::apply(std::string_view text, std::string& storage) const {
  if (is_plain(text)) return text;
  const UnicodeClasses& classes = UnicodeClasses::instance();
  const auto joins = [&](CodePoint c) { return (classes.of(c.value) & UnicodeClasses::kComposes) != 0; };
  CodePoints points;
  storage.clear();
  std::size_t copied = 0;
  std::size_t segment = 0;  // start of the last character that joins nothing before it
  for (std::size_t pos = 0; pos < text.size();) {
    CodePoint c = code_point_at(text, pos);
    if (!joins(c)) {
      segment = pos;
      pos += c.length;
      continue;
    }
    while (pos < text.size() && joins(c = code_point_at(text, pos))) pos += c.length;
    storage.append(text.substr(copied, segment - copied));
    append_composed(text.substr(segment, pos - segment), points, storage);
    copied = segment = pos;
  }
  if (copied == 0) return text;
  storage.append(text.substr(copied));
  return storage;
}

std::string_view Normalizer::apply(std::string_view text, std::string& storage) const {
  std::string previous;
  for (const NormalizerStep& step : steps_) {
    // The text may lie in `storage`, which the next step writes.
    if (text.data() == storage.data()) {
      std::swap(previous, storage);
      text = std::string_view(previous.data(), text.size());
    }
    text = std::visit([&](const auto& kind) { return kind.apply(text, storage); }, step);
  }
  if (!previous.empty() && text.data() == previous.data()) {
    std::swap(previous, storage);
    text = std::string_view(storage.data(), text.size());
  }
  return text;
}

}  // namespace lazuli::tokenizer
