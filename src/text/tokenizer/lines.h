// Defines take_line, by which vocabularies of text files are read.
#pragma once

#include <string_view>

namespace lazuli::tokenizer {

/// Takes the next line from the front of `text`, without the '\n' that ends it and the '\r' before that.
inline std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace lazuli::tokenizer
