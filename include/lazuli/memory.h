// Declares the bound on the memory that tensors take, and its counters.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lazuli {

/// Host memory of tensors and workspaces, in bytes where nothing else is said. Mapped files are not in it.
struct MemoryStats {
  size_t live_bytes = 0;            ///< in use
  size_t peak_bytes = 0;            ///< the most that was in use
  size_t cached_bytes = 0;          ///< kept for reuse
  uint64_t system_allocations = 0;  ///< blocks taken from the operating system
  size_t limit_bytes = 0;
};
MemoryStats memory_stats();
/// What would take more throws OutOfMemory; a run asks for all of its memory before its first kernel. Default: the machine's memory.
void set_memory_limit(size_t bytes);

}  // namespace lazuli
