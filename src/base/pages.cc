#include "base/pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace lazuli {

namespace {
uintptr_t page_bytes() {
  static const auto bytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}
}  // namespace

void ask_for_pages(const void* begin, size_t bytes) {
  if (bytes == 0) return;
  const auto first = reinterpret_cast<uintptr_t>(begin) / page_bytes() * page_bytes();
  const size_t length = reinterpret_cast<uintptr_t>(begin) + bytes - first;
  static_cast<void>(madvise(reinterpret_cast<void*>(first), length, MADV_WILLNEED));
}

void drop_pages(const void* begin, size_t bytes) {
  const auto first = (reinterpret_cast<uintptr_t>(begin) + page_bytes() - 1) / page_bytes() * page_bytes();
  const auto end = (reinterpret_cast<uintptr_t>(begin) + bytes) / page_bytes() * page_bytes();
  if (first < end) static_cast<void>(madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED));
}

}  // namespace lazuli
