// Defines Slab, a recycler of fixed-size memory blocks with one list a thread.
#pragma once

#include <cstddef>
#include <mutex>
#include <new>

namespace lazuli {

/// Blocks of `Size` bytes. Warm allocation and release touch only the calling thread's list; surplus blocks move to a shared list in
/// batches, so memory freed on one thread serves another. Blocks are returned to the system only at exit, never unmapped while in use.
template <size_t Size>
class Slab {
 public:
  static void* allocate() {
#ifdef LAZULI_NO_SLAB
    return ::operator new(Size);
#else
    Local& local = local_list();
    if (local.head == nullptr) refill(local);
    Free* block = local.head;
    local.head = block->next;
    --local.count;
    return block;
#endif
  }
  static void release(void* memory) {
#ifdef LAZULI_NO_SLAB
    ::operator delete(memory);
#else
    Local& local = local_list();
    auto* block = static_cast<Free*>(memory);
    block->next = local.head;
    local.head = block;
    if (++local.count >= 2 * kBatch) spill(local, kBatch);
#endif
  }

 private:
  static constexpr size_t kBatch = 1024;
  static constexpr size_t kChunk = 64;
  struct Free {
    Free* next;
  };
  struct Local {
    Free* head = nullptr;
    size_t count = 0;
    ~Local() { spill(*this, count); }
  };
  struct Shared {
    std::mutex mutex;
    Free* head = nullptr;
  };

  static Local& local_list() {
    thread_local Local local;
    return local;
  }
  static Shared& shared_list() {
    static Shared* const shared = new Shared;  // outlives thread-local destructors
    return *shared;
  }
  static void refill(Local& local) {
    {
      Shared& shared = shared_list();
      std::lock_guard lock(shared.mutex);
      while (shared.head != nullptr && local.count < kBatch) {
        Free* block = shared.head;
        shared.head = block->next;
        block->next = local.head;
        local.head = block;
        ++local.count;
      }
    }
    if (local.head != nullptr) return;
    constexpr size_t stride = (Size + 15) / 16 * 16;
    auto* chunk = static_cast<std::byte*>(::operator new (stride* kChunk, std::align_val_t{64}));
    for (size_t i = kChunk; i-- > 0;) {
      auto* block = reinterpret_cast<Free*>(chunk + i * stride);
      block->next = local.head;
      local.head = block;
    }
    local.count += kChunk;
  }
  static void spill(Local& local, size_t n) {
    Shared& shared = shared_list();
    std::lock_guard lock(shared.mutex);
    for (; n > 0 && local.head != nullptr; --n, --local.count) {
      Free* block = local.head;
      local.head = block->next;
      block->next = shared.head;
      shared.head = block;
    }
  }
};

}  // namespace lazuli
