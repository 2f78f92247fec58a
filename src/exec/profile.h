// Declares the profile of kernels: how long the steps of plans on the host took, summed by what they do.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "plan/plan.h"

namespace lazuli::profile {

/// All runs of steps with the same kernel, shapes and dtypes.
struct KernelCost {
  std::string kernel, what;
  int64_t calls = 0;
  double seconds = 0, bytes = 0, flops = 0;
};

extern std::atomic<bool> enabled;

/// Forgets what was noted and begins.
void start();
/// Ends, and returns what was noted, the longest first.
std::vector<KernelCost> stop();
/// A wave that took that long. Its time is shared among its steps by what they were expected to cost.
void note(std::span<const Step> wave, uint64_t nanoseconds);

}  // namespace lazuli::profile
