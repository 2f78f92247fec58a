// Declares the measuring of what this machine can do at most: how fast its threads read memory and multiply.
#pragma once

#include "backend/machine.h"

namespace lazuli::cpu {

/// As machine.h has it.
MachineLimits measure_limits(int threads);

}  // namespace lazuli::cpu
