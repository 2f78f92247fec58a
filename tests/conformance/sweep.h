// Defines random cases whose sizes are drawn around the thresholds of a backend.
#pragma once

#include <cstdint>
#include <functional>

#include "conformance/thresholds.h"

namespace lazuli::conformance {

/// A case by its seed alone: op, dtypes, layouts and sizes. At most about `terms` products are added up in it.
Case random_case(uint64_t seed, const std::vector<Threshold>& thresholds, double terms);

/// Tries cases until one is wrong: `rounds` of them from `seed` on, or for LAZULI_SWEEP_SECONDS from LAZULI_SWEEP_SEED on where these are
/// set. What is wrong is returned with the seed that alone brings it back; an empty string: nothing.
std::string sweep(const std::vector<Threshold>& thresholds, int64_t rounds, double terms,
                  const std::function<std::string(const Case& c, uint64_t seed)>& wrong);

}  // namespace lazuli::conformance
