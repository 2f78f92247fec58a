// Defines relax, for loops that wait for another thread's store.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#else
#include <thread>
#endif

namespace lazuli {

/// Leaves the core's other thread and its power budget alone for some tens of cycles.
inline void relax() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

}  // namespace lazuli
