// Declares the execution of a plan on a CUDA device.
#pragma once

#include "exec/run.h"

namespace lazuli {

/// Submits all steps to the device's stream and returns: results are there for whatever is submitted later, and copies to the host wait.
/// Errors of the submission name the op; what goes wrong on the device itself is thrown by the next copy to the host.
void execute_on_cuda(const Plan& plan, const RunMemory& memory);

}  // namespace lazuli
