// Defines find_all and replace_all, which look for a literal string in a text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/split_scanner.h"

namespace lazuli::tokenizer {

/// Appends where `literal` stands in text[range], each place after the end of the one before; an empty one stands nowhere.
inline void find_all(std::string_view literal, std::string_view text, TextSpan range, std::vector<TextSpan>& out) {
  if (literal.empty()) return;
  const std::string_view searched = text.substr(0, range.end);
  for (std::size_t pos = searched.find(literal, range.begin); pos != std::string_view::npos; pos = searched.find(literal, pos)) {
    out.push_back({pos, pos + literal.size()});
    pos += literal.size();
  }
}

/// Appends `text` with `content` in every place of `literal`.
inline void replace_all(std::string_view text, std::string_view literal, std::string_view content, std::string& out) {
  std::size_t copied = 0;
  if (!literal.empty()) {
    for (std::size_t pos = text.find(literal); pos != std::string_view::npos; pos = text.find(literal, copied)) {
      out.append(text.substr(copied, pos - copied)).append(content);
      copied = pos + literal.size();
    }
  }
  out.append(text.substr(copied));
}

}  // namespace lazuli::tokenizer
