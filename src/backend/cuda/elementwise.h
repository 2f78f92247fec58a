// Declares the launch of an elementwise program, for ops that end in one.
#pragma once

#include "backend/cuda/launch.h"

namespace lazuli::cuda {

/// Computes the program's outputs, the request's results, from its inputs; of the request only dtypes, shapes and strides are read.
Launch elementwise_launch(const KernelRequest& request, const ElementwiseProgram& program);

}  // namespace lazuli::cuda
