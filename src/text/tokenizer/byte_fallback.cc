#include "text/tokenizer/byte_fallback.h"

#include <algorithm>
#include <charconv>

namespace lazuli::tokenizer {

std::string fallback_token(std::size_t byte) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  return {'<', '0', 'x', kDigits[byte >> 4 & 15], kDigits[byte & 15], '>'};
}

std::optional<unsigned char> fallback_byte(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
  unsigned char byte = 0;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, byte, 16);
  if (error != std::errc() || end != token.data() + 5) return std::nullopt;
  return byte;
}

bool append_fallback(std::string_view text, const ByteIds& byte_ids, std::vector<std::int32_t>& ids) {
  const auto id_of = [&](char byte) { return byte_ids[static_cast<unsigned char>(byte)]; };
  if (!std::all_of(text.begin(), text.end(), [&](char byte) { return id_of(byte) >= 0; })) return false;
  for (const char byte : text) ids.push_back(id_of(byte));
  return true;
}

}  // namespace lazuli::tokenizer
