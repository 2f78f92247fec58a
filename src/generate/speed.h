// Defines how generations measure their speed.
#pragma once

#include <chrono>
#include <cstdint>

namespace lazuli {

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Tokens per second; 0 where there were none.
inline double rate(int64_t count, double seconds) { return count > 0 && seconds > 0 ? static_cast<double>(count) / seconds : 0; }

}  // namespace lazuli
