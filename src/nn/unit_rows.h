// Defines unit_rows, which gives every row of a matrix the length 1.
#pragma once

#include "lazuli/ops.h"

namespace lazuli {

/// x / max(|x|, 1e-12) for each row of x (rows, size). The bound is under the root, where a row of zeros has a gradient.
inline LazyTensor unit_rows(const LazyTensor& x) { return div(x, sqrt(maximum(sum(square(x), {1}, true), LazyTensor::scalar(1e-24)))); }

}  // namespace lazuli
