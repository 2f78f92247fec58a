// Declares the roofline report: what the kernels of a computation reach of this machine's limits (Williams et al. 2009).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backend/machine.h"
#include "base/json_writer.h"
#include "exec/profile.h"

namespace lazuli::cli {

struct Roofline {
  std::string test;
  std::vector<profile::KernelCost> kernels;  ///< the longest first
  double seconds = 0;                        ///< of the whole run
};

/// Runs a computation once with its kernels noted.
Roofline profile_run(const std::string& test, const std::function<void()>& run);

/// The least time that a kernel can take: that of its bytes or of its arithmetic.
double least_seconds(const profile::KernelCost& cost, const MachineLimits& limits);

std::string roofline_table(const std::vector<Roofline>& all, const MachineLimits& limits);
/// The field "roofline".
void write_roofline(JsonWriter& w, const std::vector<Roofline>& all, const MachineLimits& limits);

}  // namespace lazuli::cli
