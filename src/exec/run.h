// Declares the execution of a plan over memory that the caller supplies.
#pragma once

#include <deque>

#include "exec/team.h"
#include "plan/plan.h"
#include "plan/result_memory.h"

namespace lazuli {

/// Runs all steps. `team`: shares the work of waves on the host; null: all of it on this thread. Leases the workspace for the time of the
/// call. Errors name the op, its shapes and where it was recorded.
void execute(const Plan& plan, const RunMemory& memory, Team* team);

/// `t` where the device can read it: itself, or a copy that `moved` keeps.
const Tensor& bring_to(const Tensor& t, Device device, std::deque<Tensor>& moved);

}  // namespace lazuli
