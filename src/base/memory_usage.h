// Declares how much memory this process has used.
#pragma once

#include <cstdint>

namespace lazuli {

/// The largest resident size of this process so far, in bytes.
uint64_t peak_memory_bytes();

}  // namespace lazuli
