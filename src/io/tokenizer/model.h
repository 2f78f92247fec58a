// Defines Model, what turns a piece of text into ids: one alternative for each kind of model.
#pragma once

#include <variant>

#include "io/tokenizer/bpe.h"

namespace lazuli::tokenizer {

/// Each alternative has `vocabulary()`, a `Scratch` and `encode(piece, scratch, out)`.
using Model = std::variant<Bpe>;

}  // namespace lazuli::tokenizer
