#include "base/pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace lazuli {

void ask_for_pages(const void* begin, size_t bytes) {
  if (bytes == 0) return;
  static const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<uintptr_t>(begin) / page * page;
  const size_t length = reinterpret_cast<uintptr_t>(begin) + bytes - first;
  static_cast<void>(madvise(reinterpret_cast<void*>(first), length, MADV_WILLNEED));
}

}  // namespace lazuli
