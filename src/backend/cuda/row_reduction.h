// Declares the reductions that are no generated code: logsumexp, var and argmax.
#pragma once

#include "backend/backend.h"

namespace lazuli::cuda {

/// x may have any strides.
PreparedOp prepare_row_reduction(const KernelRequest& request);

}  // namespace lazuli::cuda
