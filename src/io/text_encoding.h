// Declares how the bytes of a text file become UTF-8: byte order marks, UTF-16 and UTF-32, line ends, and what is no text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lazuli {

/// What the first bytes say a file is, where they say that it is no text, and what to do about it: `gzip data; gunzip it first`.
std::optional<std::string> binary_kind(std::string_view bytes);

struct DecodedText {
  std::string text;           ///< UTF-8 without a byte order mark
  std::string_view encoding;  ///< the encoding that the mark named; empty where there was none
};

/// A UTF-8 mark is left out; UTF-16 and UTF-32 are converted where a mark names them. Throws FormatError, which calls the bytes `name`, for
/// binary data, a zero byte, and bytes that are not of the encoding, with their offset.
DecodedText decode_text(std::string bytes, const std::string& name);

/// Makes "\n" of "\r\n" and of "\r" alone, as Python's open() does. Returns how many it made.
size_t unify_line_ends(std::string& text);

/// The bytes of a byte order mark at the start of UTF-8 text: 3 or 0.
size_t utf8_mark(std::string_view text);

}  // namespace lazuli
