// Declares the writing and reading of base64.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lazuli::tokenizer {

/// The bytes in base64, with padding.
std::string to_base64(std::string_view bytes);

/// The bytes of a text in base64, with or without padding; nothing when it is none.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace lazuli::tokenizer
