#include "text/tokenizer/word_level.h"

#include <fmt/format.h>

#include <utility>

#include "lazuli/error.h"
#include "text/tokenizer/unicode.h"

namespace lazuli::tokenizer {
namespace {

constexpr std::size_t kShownBytes = 64;

std::string_view shown(std::string_view piece) {
  return piece.size() <= kShownBytes ? piece : piece.substr(0, previous_start(piece, kShownBytes));
}

}  // namespace

WordLevel::WordLevel(Vocabulary vocabulary, std::string unknown) : vocabulary_(std::move(vocabulary)), unknown_(std::move(unknown)) {}

void WordLevel::encode(std::string_view piece, Scratch&, std::vector<std::int32_t>& out) const {
  auto id = vocabulary_.find(piece);
  if (!id) id = vocabulary_.find(unknown_);
  if (!id) {
    throw ValueError(fmt::format("[tokenizer] \"{}\" is not in the vocabulary, nor is the unknown token \"{}\"", shown(piece), unknown_));
  }
  out.push_back(*id);
}

}  // namespace lazuli::tokenizer
