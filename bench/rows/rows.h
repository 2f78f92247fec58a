// Declares what the rows of the comparison and the tuner share.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

namespace lazuli::rows {

using Call = std::function<void()>;

/// Work that is timed; one of the two makes its call.
struct Row {
  const char* name;
  std::function<Call()> prepare;
  std::function<Call(const std::string& model)> prepare_model = {};  ///< instead, for rows that need one
};

/// Of one of that many calls.
inline double seconds_of(const Call& call, int64_t times) {
  const auto begin = std::chrono::steady_clock::now();
  for (int64_t k = 0; k < times; ++k) call();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / static_cast<double>(times);
}

/// Tries the candidates of each tuned number in turn, keeps what makes the rows faster, writes the profile and prints what was gained.
int tune(std::span<const Row> rows, const std::string& profile);

}  // namespace lazuli::rows
