// Declares the limit on the memory of tensors, its counters, and how a computation checks its memory need before it runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lazuli/tensor.h"

namespace lazuli {

/// Memory of a device's tensors and workspaces, in bytes. Memory-mapped files do not count.
struct MemoryStats {
  size_t live_bytes = 0;            ///< bytes in use
  size_t peak_bytes = 0;            ///< the most bytes that were in use
  size_t cached_bytes = 0;          ///< bytes kept for reuse
  uint64_t system_allocations = 0;  ///< number of blocks taken from the operating system
  size_t limit_bytes = 0;           ///< the limit of `live_bytes`
};
/// Returns the current counters.
MemoryStats memory_stats(Device device = {});
/// Sets the limit. An allocation beyond it throws OutOfMemory. A run allocates all of its memory before its first kernel. The default is
/// all of the device's memory.
void set_memory_limit(size_t bytes, Device device = {});

/// The memory that a computation needs in addition to what is in use, in bytes as the allocator rounds them.
struct MemoryNeed {
  size_t weights = 0;    ///< weights converted from files
  size_t arguments = 0;  ///< arguments: ids, a cache of keys and values
  size_t workspace = 0;  ///< workspace of the plan, while it runs
  size_t results = 0;    ///< results of the plan
  /// The sum of all parts.
  size_t total() const { return weights + arguments + workspace + results; }
};
/// Returns the need with the larger total, for parts that run one after the other.
inline const MemoryNeed& larger(const MemoryNeed& a, const MemoryNeed& b) { return a.total() < b.total() ? b : a; }
/// Returns the bytes that an allocation of `bytes` takes.
size_t allocated_bytes(size_t bytes);
/// Whether the need and the memory in use together stay within the device's limit.
bool fits_memory(const MemoryNeed& need, Device device = {});
/// Throws OutOfMemory unless `fits_memory` is true. The error says how much is needed, for what, and the limit. `who` begins its text:
/// `[generate]`.
void require_memory(std::string_view who, const MemoryNeed& need, Device device = {});

}  // namespace lazuli
