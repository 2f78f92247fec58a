// Defines KeptMemoryLimit and MemoryFor, which bound the host's memory for a scope.
#pragma once

#include <cstddef>

#include "lazuli/memory.h"
#include "tensor/buffer_pool.h"

namespace lazuli::test {

/// Puts the limit back at the end of the scope.
class KeptMemoryLimit {
 public:
  KeptMemoryLimit() = default;
  KeptMemoryLimit(const KeptMemoryLimit&) = delete;
  KeptMemoryLimit& operator=(const KeptMemoryLimit&) = delete;
  ~KeptMemoryLimit() { set_memory_limit(before_); }

 private:
  const size_t before_ = memory_stats().limit_bytes;
};

/// The same, with a limit of so many bytes beside what is in use.
class MemoryFor : public KeptMemoryLimit {
 public:
  explicit MemoryFor(size_t bytes) { set_memory_limit(BufferPool::of(Device{}).in_use() + bytes); }
};

}  // namespace lazuli::test
