// Defines WordLevel, which takes each piece as one token.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/vocabulary.h"

namespace lazuli::tokenizer {

/// A piece that the vocabulary lacks is the unknown token.
class WordLevel {
 public:
  struct Scratch {};

  WordLevel(Vocabulary vocabulary, std::string unknown);

  const Vocabulary& vocabulary() const { return vocabulary_; }

  /// Appends the id of `piece`. Throws ValueError where the vocabulary has neither it nor the unknown token.
  void encode(std::string_view piece, Scratch& scratch, std::vector<std::int32_t>& out) const;

 private:
  Vocabulary vocabulary_;
  std::string unknown_;
};

}  // namespace lazuli::tokenizer
