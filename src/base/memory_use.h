// Defines how much memory the process has used.
#pragma once

#include <sys/resource.h>

#include <cstddef>

namespace lazuli {

/// Largest resident size so far, in bytes; mapped files count as far as they were read.
inline size_t peak_resident_bytes() {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return static_cast<size_t>(usage.ru_maxrss) * 1024;
}

}  // namespace lazuli
