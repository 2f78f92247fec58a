// Implements the writing, checking and repair of UTF-8.
#include "base/utf8.h"

#include <simdjson.h>

#include <cstdint>
#include <cstring>

namespace lazuli {

namespace {

// Shorter texts are walked faster than simdjson's blocks are padded.
constexpr size_t kBlock = 64;

enum class Sequence { whole, cut_short, invalid };

/// Judges the sequence at `pos`; `length` is the bytes it has, or those of the maximal part when it is not whole.
Sequence judge(std::string_view bytes, size_t pos, size_t& length) {
  const auto lead = static_cast<unsigned char>(bytes[pos]);
  length = 1;
  if (lead < 0x80) return Sequence::whole;
  if (lead < 0xc2 || lead > 0xf4) return Sequence::invalid;
  const size_t need = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  // What is longer than it needs to be, a surrogate, or beyond U+10FFFF shows in the second byte.
  unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  for (; length < need; ++length) {
    if (pos + length == bytes.size()) return Sequence::cut_short;
    const auto next = static_cast<unsigned char>(bytes[pos + length]);
    if (next < low || next > high) return Sequence::invalid;
    low = 0x80;
    high = 0xbf;
  }
  return Sequence::whole;
}

/// End of the UTF-8 that starts at `pos`.
size_t whole_until(std::string_view bytes, size_t pos) {
  while (pos < bytes.size()) {
    uint64_t word = 0;
    if (pos + sizeof word <= bytes.size()) {
      std::memcpy(&word, bytes.data() + pos, sizeof word);
      if ((word & 0x8080808080808080U) == 0) {
        pos += sizeof word;
        continue;
      }
    }
    size_t length = 0;
    if (judge(bytes, pos, length) != Sequence::whole) break;
    pos += length;
  }
  return pos;
}

}  // namespace

void append_utf8(std::string& out, char32_t c) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) return put(c);
  if (c < 0x800) {
    put(0xc0 | c >> 6);
  } else {
    if (c < 0x10000) {
      put(0xe0 | c >> 12);
    } else {
      put(0xf0 | c >> 18);
      put(0x80 | (c >> 12 & 0x3f));
    }
    put(0x80 | (c >> 6 & 0x3f));
  }
  put(0x80 | (c & 0x3f));
}

size_t utf8_length(std::string_view text) {
  size_t length = 0;
  return judge(text, 0, length) == Sequence::whole ? length : 0;
}

size_t utf8_end(std::string_view text) {
  if (text.size() >= kBlock && simdjson::validate_utf8(text.data(), text.size())) return text.size();
  return whole_until(text, 0);
}

bool is_utf8(std::string_view bytes) { return utf8_end(bytes) == bytes.size(); }

size_t append_repaired(std::string_view bytes, std::string& out) {
  size_t pos = 0;
  while (pos < bytes.size()) {
    const size_t end = whole_until(bytes, pos);
    out.append(bytes.substr(pos, end - pos));
    pos = end;
    if (pos == bytes.size()) break;
    size_t length = 0;
    if (judge(bytes, pos, length) == Sequence::cut_short) return length;
    out.append(kReplacementCharacter);
    pos += length;
  }
  return 0;
}

std::string_view repaired(std::string_view text, std::string& storage) {
  if (is_utf8(text)) return text;
  storage.clear();
  if (append_repaired(text, storage) != 0) storage.append(kReplacementCharacter);
  return storage;
}

}  // namespace lazuli
