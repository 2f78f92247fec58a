// Defines Model, what turns a piece of text into ids: one alternative for each kind of model.
#pragma once

#include <variant>

#include "text/tokenizer/bpe.h"
#include "text/tokenizer/unigram.h"
#include "text/tokenizer/word_level.h"
#include "text/tokenizer/word_piece.h"

namespace lazuli::tokenizer {

/// Each alternative has `vocabulary()`, a `Scratch` and `encode(piece, scratch, out)`.
using Model = std::variant<Bpe, WordPiece, Unigram, WordLevel>;

/// Memory for any of them.
struct ModelScratch : Bpe::Scratch, WordPiece::Scratch, Unigram::Scratch, WordLevel::Scratch {};

}  // namespace lazuli::tokenizer
