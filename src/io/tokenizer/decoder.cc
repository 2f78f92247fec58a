#include "io/tokenizer/decoder.h"

#include "io/tokenizer/byte_alphabet.h"

namespace lazuli::tokenizer {

void Decoder::append(std::string_view token, bool first, std::string& bytes) const {
  if (kind_ == Kind::byte_level) return append_unspelled(token, bytes);
  if (kind_ == Kind::spaced && !first) bytes.push_back(' ');
  bytes.append(token);
}

}  // namespace lazuli::tokenizer
