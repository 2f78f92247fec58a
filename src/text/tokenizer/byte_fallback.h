// Defines the tokens that stand for single bytes where a vocabulary lacks a character: `<0x00>` to `<0xFF>`.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lazuli::tokenizer {

/// Id of each byte's token, -1 where there is none.
using ByteIds = std::array<std::int32_t, 256>;

std::string fallback_token(std::size_t byte);

/// The byte that a token stands for: `<0x`, two hexadecimal digits, `>`.
std::optional<unsigned char> fallback_byte(std::string_view token);

/// Appends the ids of all bytes of `text`; appends nothing and gives false when one has none.
bool append_fallback(std::string_view text, const ByteIds& byte_ids, std::vector<std::int32_t>& ids);

}  // namespace lazuli::tokenizer
