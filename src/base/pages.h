// Defines how memory of a mapped file is asked for before it is read.
#pragma once

#include <cstddef>

namespace lazuli {

/// The system begins to read the pages of [begin, begin + bytes) that are not in memory yet. Advice only: does not wait and cannot fail.
void ask_for_pages(const void* begin, size_t bytes);

}  // namespace lazuli
