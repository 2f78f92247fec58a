// Declares the kernels that fold axes: of an elementwise program's result, or of an operand as it is.
#pragma once

#include "backend/backend.h"

namespace lazuli::cuda {

/// Folds `program.axes` of the program's only output by `program.reduction` (sum, mean, max, min). `name`: static storage.
PreparedOp prepare_program_reduction(const KernelRequest& request, const ElementwiseProgram& program, const char* name);

}  // namespace lazuli::cuda
