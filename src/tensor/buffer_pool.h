// Defines BufferPool, the bounded cache of memory behind every tensor.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "lazuli/tensor.h"

namespace lazuli {

class DeviceMemory;

/// What the pool holds; all in bytes but the last.
struct PoolStats {
  size_t live_bytes = 0;            ///< asked for and not yet released
  size_t peak_bytes = 0;            ///< largest live_bytes since the last reset_peak
  size_t cached_bytes = 0;          ///< kept for reuse
  uint64_t system_allocations = 0;  ///< blocks taken from the operating system since the start
  size_t budget_bytes = 0;          ///< what live and cached blocks may take together
};

/// Recycles blocks and their Buffer objects by size class: every 64 bytes up to 4 KiB, then four steps per power of two.
/// Thread-safe; a warm allocate or release is a list operation under a short spin lock and calls no allocator.
class BufferPool {
 public:
  /// The pool of host memory. Never destroyed, so buffers may outlive main.
  static BufferPool& host();
  /// The pool of a device's memory; host() for devices that compute in host memory. Throws DeviceError when the device is not there.
  /// Blocks are recycled at once: a device does everything in the order of the calls, so whoever gets a block next writes to it later.
  static BufferPool& of(Device device);

  /// 64-byte aligned, uninitialised. Throws OutOfMemory.
  BufferRef allocate(size_t bytes, Device device);
  /// What an allocation of so many bytes takes of the budget: blocks come in certain sizes.
  static size_t rounded(size_t bytes);
  /// What the blocks in use take of the budget.
  size_t in_use() const;
  PoolStats stats() const;
  void reset_peak();
  /// At most this many cached bytes; the least recently used size classes go first. Default: half the machine's memory.
  void set_limit(size_t bytes);
  /// At most this many bytes in live and cached blocks together; cached ones go before an allocation is refused with OutOfMemory. Default:
  /// no bound but the machine's.
  void set_budget(size_t bytes);
  /// Gives all cached blocks back to the system.
  void trim();

 private:
  struct Block;
  static constexpr size_t kExactClasses = 64;
  static constexpr size_t kClasses = kExactClasses + 4 * (47 - 12);
  struct SizeClass {
    Block* free = nullptr;
    uint64_t last_use = 0;
  };
  class Guard;

  explicit BufferPool(DeviceMemory* memory);
  static void recycle(Buffer* buffer);
  static size_t class_of(size_t bytes);
  static size_t capacity_of(size_t size_class);
  Block* take(size_t size_class, size_t bytes);
  Block* make(size_t size_class, size_t bytes);
  void count_live(size_t bytes, size_t capacity);
  /// Makes room for a new block of this capacity. Throws OutOfMemory.
  void reserve(size_t bytes, size_t capacity);
  Block* evict_locked(size_t limit);
  void* system_allocate(size_t bytes) const;
  void system_free(void* data, size_t bytes) const;
  void destroy_list(Block* list) const;
  void lock() const;
  void unlock() const { locked_.store(false, std::memory_order_release); }

  DeviceMemory* memory_;  ///< null for host memory
  mutable std::atomic<bool> locked_{false};
  std::array<SizeClass, kClasses> classes_{};
  PoolStats stats_;
  size_t limit_ = 0;
  size_t live_capacity_ = 0;  ///< of the blocks in use, what their size classes round up included
  size_t system_bytes_ = 0;
  uint64_t clock_ = 0;
};

}  // namespace lazuli
