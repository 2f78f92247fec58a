// Defines how the sources of Gemm cut the inner dimension.
#pragma once

#include <algorithm>

#include "backend/cpu/gemm/gemm_kernels.h"

namespace lazuli::cpu {

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t round_up(int64_t a, int64_t b) { return divide_up(a, b) * b; }

/// Steps of k that one packed piece holds: pieces of equal size, a multiple of a panel's width, about `most` at most.
inline int64_t piece_of(int64_t k, int64_t most) { return round_up(divide_up(k, std::max<int64_t>(divide_up(k, most), 1)), kPanel); }

/// Of `own` tasks, those that fall to [begin, end) of `all`: two ways with different numbers of tasks are run as if both had `all`.
struct Share {
  Share(int64_t first, int64_t last, int64_t all, int64_t own)
      : begin(first * own / std::max<int64_t>(all, 1)), end(last * own / std::max<int64_t>(all, 1)) {}
  int64_t begin, end;
};

}  // namespace lazuli::cpu
