// Defines what this machine can do at most: how fast its threads read memory and multiply.
#pragma once

namespace lazuli::cpu {

struct MachineLimits {
  double bytes_per_second = 0;  ///< read from memory that no cache holds, all threads together
  double flops_per_second = 0;  ///< f32 multiplications and additions in registers, all threads together
};

/// Measures for about a third of a second with that many threads; takes 64 MiB for each.
MachineLimits measure_limits(int threads);

}  // namespace lazuli::cpu
