// Defines how a case is tried on the cpu backend in every way that must give the same result.
#pragma once

#include <string>

#include "conformance/cases.h"

namespace lazuli::conformance {

/// How much is tried.
struct Effort {
  bool special = true;  ///< also what only some processors have, by plain loops where this one lacks it
  bool kept = true;     ///< also panels of the weight that are kept
};

/// What is wrong, or an empty string. Products are judged in double, other ops by the reference backend, which computes in double and
/// rounds once. Ranges of tasks, threads that do them side by side, and panels that are kept must not change a bit.
std::string wrong_on_cpu(const Case& c, const Effort& effort = {});

}  // namespace lazuli::conformance
