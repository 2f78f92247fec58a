// Implements the pre-tokenizers that look at the characters alone, one after the other: UnicodeScripts and FixedLength.
#include <algorithm>
#include <cstdint>
#include <iterator>

#include "text/tokenizer/pre_tokenizer.h"
#include "text/tokenizer/script_ranges.h"
#include "text/tokenizer/unicode.h"

namespace lazuli::tokenizer {
namespace {

std::uint8_t script_of(char32_t c) {
  const auto* after = std::upper_bound(std::begin(kScriptChanges), std::end(kScriptChanges), c,
                                       [](char32_t point, std::uint32_t change) { return point < change >> 8; });
  return static_cast<std::uint8_t>(*(after - 1));
}

}  // namespace

void UnicodeScripts::apply(Pieces& pieces) const {
  pieces.next_spans.clear();
  for (const TextSpan span : pieces.spans) {
    std::uint8_t open = 0;
    for (std::size_t pos = span.begin; pos < span.end;) {
      const CodePoint c = code_point_at(pieces.text, pos);
      const std::uint8_t script = script_of(c.value);
      if (script != 0 && script != open) {
        pieces.next_spans.push_back({pos, span.end});
        open = script;
      }
      pos += c.length;
      if (open != 0) pieces.next_spans.back().end = pos;
    }
  }
  std::swap(pieces.spans, pieces.next_spans);
}

void FixedLength::apply(Pieces& pieces) const {
  pieces.next_spans.clear();
  for (const TextSpan span : pieces.spans) {
    std::size_t characters = 0;
    for (std::size_t pos = span.begin; pos < span.end; ++characters) {
      if (characters % length == 0) pieces.next_spans.push_back({pos, pos});
      pos += code_point_at(pieces.text, pos).length;
      pieces.next_spans.back().end = pos;
    }
  }
  std::swap(pieces.spans, pieces.next_spans);
}

}  // namespace lazuli::tokenizer
