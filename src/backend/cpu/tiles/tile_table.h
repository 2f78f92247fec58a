// Defines the parts that tile_fn is put together from, one source each.
#pragma once

#include "backend/cpu/tiles/tile.h"

namespace lazuli::cpu {

/// Besides the unary ops: full repeats one value, not_equal compares with zero.
TileFn tile_unary_fn(Op op);
/// Binary and ternary ops.
TileFn tile_arithmetic_fn(Op op, int scalars);

}  // namespace lazuli::cpu
