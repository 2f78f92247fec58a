// Declares the positions of encoders that count them from after the padding id, which itself has its own number as position.
#pragma once

#include "lazuli/lazy_tensor.h"

namespace lazuli {

/// ids (batch, tokens) i32 -> rows of a table of positions, (batch, tokens) i32: the padding id + how many other ids come up to a place.
LazyTensor positions_after_padding(const LazyTensor& ids, int64_t padding);

/// The same for packed texts: ids and places in the texts (tokens) i32, starts (texts + 1) i32 -> (tokens) i32.
LazyTensor packed_positions_after_padding(const LazyTensor& ids, const LazyTensor& places, const LazyTensor& starts, int64_t padding);

}  // namespace lazuli
