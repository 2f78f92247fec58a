// Defines how the sources of Gemm cut the inner dimension.
#pragma once

#include <algorithm>

#include "backend/cpu/gemm_kernels.h"

namespace lazuli::cpu {

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t round_up(int64_t a, int64_t b) { return divide_up(a, b) * b; }

/// Steps of k that one packed piece holds: a block of rows and a panel of the right operand of this height fit into the second-level cache.
inline constexpr int64_t kPieceOfK = 256;
/// Pieces of equal size, at most kPieceOfK, a multiple of the chunk.
inline int64_t piece_of(int64_t k) { return round_up(divide_up(k, std::max<int64_t>(divide_up(k, kPieceOfK), 1)), kChunk); }

}  // namespace lazuli::cpu
