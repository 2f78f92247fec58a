// Defines block tables of attention on pages, and the same attention on keys that lie one after the other.
#pragma once

#include <cstdint>
#include <vector>

#include "conformance/harness.h"

namespace lazuli::conformance {

/// Blocks of a pool for `rows` rows of `pages` pages: enough for every page, and one that no row uses.
constexpr int64_t pool_for(int64_t rows, int64_t pages) { return rows * pages + 1; }

/// (rows, pages), a row for each of the numbers of keys. Numbers of blocks are in no order; all rows begin with the same block where they
/// have one; pages without a key have the number -1.
Tensor block_table(const std::vector<int64_t>& keys, int64_t pages, int64_t page);

/// A call of sdpa on pages as one on keys that lie one after the other; zeros for pages of number -1.
OpCall gathered(const OpCall& call);

}  // namespace lazuli::conformance
