// Defines how memory of a mapped file is asked for before it is read, and given back after.
#pragma once

#include <cstddef>

namespace lazuli {

/// The system begins to read the pages of [begin, begin + bytes) that are not in memory yet. Advice only: does not wait and cannot fail.
void ask_for_pages(const void* begin, size_t bytes);
/// The whole pages in [begin, begin + bytes), of a mapped file, no longer count as this process's memory; whoever reads them again gets
/// them from the file. What somebody wrote there would be lost.
void drop_pages(const void* begin, size_t bytes);

}  // namespace lazuli
