// Defines the loops over short runs of f32 values ("tiles") that elementwise kernels, chains and reductions are made of.
#pragma once

#include <cstdint>

#include "backend/cpu/common/thresholds.h"
#include "lazuli/operation.h"

namespace lazuli::cpu {

using threshold::tile::kTile;

/// out[i] = op(a[i], b[i], c[i]) for i < n; operands that the op lacks are ignored, booleans are 0 and 1. `out` may be one of the operands.
using TileFn = void (*)(const float* a, const float* b, const float* c, float* out, int64_t n);
/// The loop of an elementwise op; bit k of `scalars`: operand k is one value for the whole run. Null when there is no such loop: all binary
/// ops take each combination but both; where takes scalars on its branches, clip only scalar limits.
TileFn tile_fn(Op op, int scalars);
/// Rounds to bf16 or f16 and back.
TileFn tile_round(DType dtype);

/// Converts n elements to f32; and back, rounded once. Booleans are 0 and 1.
using TileLoad = void (*)(const void* src, float* dst, int64_t n);
using TileStore = void (*)(const float* src, void* dst, int64_t n);
TileLoad tile_load(DType dtype);
/// Null for integers and f64.
TileStore tile_store(DType dtype);
/// Copies f32 values past the caches, for results too large to be found there later: memory is then written without being read first. The
/// thread calls hwy::FlushStream before another one may read them.
TileStore tile_stream();

/// Sum, maximum or minimum of n >= 1 values, in an order that depends on n only.
using TileFold = float (*)(const float* a, int64_t n);
/// op: sum, mean (as sum), max or min.
TileFold tile_fold(Op op);

}  // namespace lazuli::cpu
