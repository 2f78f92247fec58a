#include "text/tokenizer/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "base/utf8.h"
#include "text/tokenizer/unicode.h"

namespace lazuli::tokenizer {
namespace {

constexpr bool stands_for_itself(std::size_t byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

// Bytes that print stand for themselves; the other 68 take the code points from U+0100 on, in order.
struct Alphabet {
  std::array<char16_t, 256> character{};
  std::array<std::int16_t, 0x144> byte{};
};

constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  for (auto& byte : alphabet.byte) byte = -1;
  char16_t next = 0x100;
  for (std::size_t b = 0; b < 256; ++b) {
    const char16_t c = stands_for_itself(b) ? static_cast<char16_t>(b) : next++;
    alphabet.character[b] = c;
    alphabet.byte[c] = static_cast<std::int16_t>(b);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

void append_spelled(std::string_view bytes, std::string& out) {
  for (const char byte : bytes) append_utf8(out, kAlphabet.character[static_cast<unsigned char>(byte)]);
}

void append_unspelled(std::string_view spelled, std::string& out) {
  const std::size_t start = out.size();
  for (std::size_t pos = 0; pos < spelled.size();) {
    const CodePoint c = code_point_at(spelled, pos);
    const std::int16_t byte = c.value < kAlphabet.byte.size() ? kAlphabet.byte[c.value] : std::int16_t{-1};
    if (byte < 0) {
      out.resize(start);
      out.append(spelled);
      return;
    }
    out.push_back(static_cast<char>(byte));
    pos += c.length;
  }
}

}  // namespace lazuli::tokenizer
