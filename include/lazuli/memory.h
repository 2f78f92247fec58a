// Declares the bound on the memory that tensors take, its counters, and how a computation asks for room before it runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lazuli/tensor.h"

namespace lazuli {

/// Memory of a device's tensors and workspaces, in bytes where nothing else is said. Mapped files are not in it.
struct MemoryStats {
  size_t live_bytes = 0;            ///< in use
  size_t peak_bytes = 0;            ///< the most that was in use
  size_t cached_bytes = 0;          ///< kept for reuse
  uint64_t system_allocations = 0;  ///< blocks taken from the operating system
  size_t limit_bytes = 0;           ///< what `live_bytes` may reach
};
/// The counters now.
MemoryStats memory_stats(Device device = {});
/// What would take more throws OutOfMemory; a run asks for all of its memory before its first kernel. Default: all of the device's memory.
void set_memory_limit(size_t bytes, Device device = {});

/// The same values, which from now on stay as they are: products of many rows with a matrix of f32 on the host then keep a second copy of
/// it, in the order in which they read it, once it has been read often. They take a tenth to a quarter less time; gradients read the same
/// copy. Products that go to a matrix unit of the processor read the matrix itself and keep nothing. `in_file`: the memory is that of a
/// mapped file, whose pages stop counting as this process's when the copy is whole. Anything else is returned as it is, as is a weight, not
/// in a file, where twice the memory in use would not keep within the limit.
Tensor keep_packed(const Tensor& weight, bool in_file = false);

/// What a computation takes beside what is in use already, in bytes as the allocator hands them out.
struct MemoryNeed {
  size_t weights = 0;    ///< converted from files
  size_t arguments = 0;  ///< what it is given: ids, a cache of keys and values
  size_t workspace = 0;  ///< of the plan, while it runs
  size_t results = 0;    ///< what it leaves
  /// All of them.
  size_t total() const { return weights + arguments + workspace + results; }
};
/// The one with the larger total, for parts that run one after the other.
inline const MemoryNeed& larger(const MemoryNeed& a, const MemoryNeed& b) { return a.total() < b.total() ? b : a; }
/// What an allocation of so many bytes takes.
size_t allocated_bytes(size_t bytes);
/// Whether the need and what is in use stay within the device's limit.
bool fits_memory(const MemoryNeed& need, Device device = {});
/// Throws OutOfMemory, which says what is needed, for what, and the limit, where `fits_memory` says no.
/// `who` begins the error's text: `[generate]`.
void require_memory(std::string_view who, const MemoryNeed& need, Device device = {});

}  // namespace lazuli
