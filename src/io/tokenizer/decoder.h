// Defines Decoder, which spells tokens back into the bytes of a text.
#pragma once

#include <string>
#include <string_view>

namespace lazuli::tokenizer {

class Decoder {
 public:
  /// `byte_level`: tokens are spelled in the byte-level alphabet; `fuse`: joined as they are; `spaced`: joined by spaces, what files
  /// without a decoder mean.
  enum class Kind { byte_level, fuse, spaced };

  explicit Decoder(Kind kind = Kind::spaced) : kind_(kind) {}

  /// Appends the bytes of one token, which may be a part of a character; `first` says that none came before.
  void append(std::string_view token, bool first, std::string& bytes) const;

 private:
  Kind kind_;
};

}  // namespace lazuli::tokenizer
