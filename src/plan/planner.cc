#include "plan/planner.h"

#include <utility>

#include "plan/plan.h"

namespace lazuli {

Plan make_plan(const ComputationGraph& graph, Device device, const Backend& backend, const std::vector<Strides>& input_strides) {
  PlanDraft draft = draft_steps(graph, device, backend, input_strides);
  arrange(draft);
  return write_plan(std::move(draft));
}

Plan make_plan(const ComputationGraph& graph, Device device, const std::vector<Strides>& input_strides) {
  return make_plan(graph, device, backend_for(device), input_strides);
}

}  // namespace lazuli
