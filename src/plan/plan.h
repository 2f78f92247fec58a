// Declares how an optimised graph becomes a Plan.
#pragma once

#include <vector>

#include "backend/backend.h"
#include "backend/plan.h"
#include "lazuli/graph.h"

namespace lazuli {

/// Schedules an optimised graph, chooses kernels and places all intermediates. `input_strides` as Capture::graph gives them.
Plan make_plan(const ComputationGraph& graph, Device device, const std::vector<Strides>& input_strides);
/// By that backend, which is the device's.
Plan make_plan(const ComputationGraph& graph, Device device, const Backend& backend, const std::vector<Strides>& input_strides);

}  // namespace lazuli
