// Declares the prepare function of every kernel family of the cpu backend; ops.def decides which op uses which.
#pragma once

#include "backend/backend.h"

namespace lazuli::cpu {

#define LAZULI_OP(name, mi, ma, outs, cls, traits, infer, vjp, kernel) PreparedOp prepare_##kernel(const KernelRequest& request);
#include "lazuli/ops.def"

}  // namespace lazuli::cpu
