// Defines the writing, checking and repair of UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lazuli {

/// What stands for bytes that are no character: U+FFFD.
inline constexpr std::string_view kReplacementCharacter = "\xef\xbf\xbd";

/// Appends a character. A surrogate, which is none, gives the three bytes that its number would have.
void append_utf8(std::string& out, char32_t code_point);

/// The bytes of the character at the start of `text`, which must not be empty; 0 where these bytes are none.
size_t utf8_length(std::string_view text);

/// The offset of the first byte that is not UTF-8, or the size of the text.
size_t utf8_end(std::string_view text);

bool is_utf8(std::string_view bytes);

/// Appends `bytes` to `out` with U+FFFD for every maximal part of a sequence that is not UTF-8, and returns how many bytes at the end
/// are the start of a character and were left out.
size_t append_repaired(std::string_view bytes, std::string& out);

/// `text` itself when it is UTF-8, else its repaired copy, which `storage` holds.
std::string_view repaired(std::string_view text, std::string& storage);

}  // namespace lazuli
