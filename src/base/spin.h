// Defines spin_until, with which a thread looks out for another one's store before it sleeps.
#pragma once

#include <chrono>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
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

/// Looks until `changed()` or, when `longest` has passed, no longer; whether it changed. Waking a sleeping thread takes some fifty
/// microseconds, so short waits are worth looking. After 20 us whoever else wants the processor gets it first.
template <class Changed>
bool spin_until(const Changed& changed, std::chrono::microseconds longest) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kSelfish = std::chrono::microseconds(20);
  for (int k = 0; k < 64; ++k) {
    if (changed()) return true;
    relax();
  }
  const auto since = Clock::now();
  for (;;) {
    for (int k = 0; k < 16; ++k) {
      if (changed()) return true;
      relax();
    }
    const auto waited = Clock::now() - since;
    if (waited > longest) return false;
    if (waited > kSelfish) std::this_thread::yield();
  }
}

}  // namespace lazuli
