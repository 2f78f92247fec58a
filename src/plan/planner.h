// Declares the stages of planning; each goes on with the draft that the one before has left.
#pragma once

#include <vector>

#include "plan/draft.h"

namespace lazuli {

/// Orders the nodes, makes views strides of the memory they show, and prepares a kernel for every other node. A plan that is not run needs
/// no device but for the constants that it keeps there.
PlanDraft draft_steps(const ComputationGraph& graph, Device device, const Backend& backend, const std::vector<Strides>& input_strides);
/// Estimates costs, chooses what runs side by side, reorders steps for that, and shares and places memory.
void arrange(PlanDraft& draft);
///@{
/// Parts of arrange(), which tries orders. mark_uses() notes the last step that reads each storage; share_memory() needs that and the
/// waves, and binds results; place_workspace() then gives offsets.
void mark_uses(PlanDraft& draft);
void share_memory(PlanDraft& draft);
void place_workspace(PlanDraft& draft);
///@}
/// Writes steps, waves and addresses into the plan, and lanes for devices that run whole plans.
Plan write_plan(PlanDraft draft);

}  // namespace lazuli
