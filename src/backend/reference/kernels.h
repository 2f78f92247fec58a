// Declares the prepare function of every kernel family of the reference backend; ops.def decides which op uses which.
#pragma once

#include "backend/backend.h"

namespace lazuli::reference {

#define LAZULI_OP(name, mi, ma, outs, cls, traits, infer, vjp, kernel) PreparedOp prepare_##kernel(const KernelRequest& request);
#include "lazuli/ops.def"

}  // namespace lazuli::reference
