// Declares the placement of intermediates in one workspace.
#pragma once

#include <cstdint>
#include <vector>

#include "plan/draft.h"

namespace lazuli {

/// Bytes rounded up to the alignment of every intermediate.
inline int64_t align_up(int64_t bytes) { return (bytes + 63) / 64 * 64; }

/// Gives each storage an offset so that no two that are alive in the same wave overlap; the size of the whole, aligned.
int64_t place(std::vector<Storage*> storages);

}  // namespace lazuli
