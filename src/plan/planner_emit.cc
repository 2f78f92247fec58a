// The last stage of planning: writes the drafted steps into the Plan.
#include <fmt/format.h>

#include <algorithm>

#include "plan/lanes.h"
#include "plan/placement.h"
#include "plan/planner.h"

namespace lazuli {

namespace {

Location locate(const PlanDraft& draft, Value v) {
  const Placed& p = draft.at(v);
  const Storage& s = draft.memory[p.storage];
  switch (s.kind) {
    case Storage::Kind::workspace:
      return {Base::workspace, 0, s.offset + p.offset};
    case Storage::Kind::input:
      return {Base::input, s.index, p.offset};
    case Storage::Kind::scalar:
      return {Base::scalar, s.index, 0};
    case Storage::Kind::constant:
      return {Base::constant, s.index, p.offset};
    default:
      return {Base::output, s.index, p.offset};
  }
}

std::string describe(const PlanDraft& draft, const DraftStep& step) {
  std::string text = fmt::format("[{}]", step.node->label.empty() ? std::string(name_of(step.node->op)) : step.node->label);
  const auto add = [&](const char* between, const TensorSpec& s) {
    text += fmt::format("{}{}{}", between, name_of(s.dtype), to_string(s.shape));
  };
  const char* between = " ";
  for (Value v : step.inputs) {
    add(between, draft.spec(v));
    between = ", ";
  }
  for (size_t k = 0; k < step.outputs.size() && step.outputs[k].node >= 0; ++k) add(k == 0 ? " -> " : ", ", draft.spec(step.outputs[k]));
  return text;
}

Step step_of(PlanDraft& draft, const DraftStep& from) {
  Step s;
  s.prepared = from.prepared;
  s.first_pointer = static_cast<int32_t>(draft.plan.pointers.size());
  s.n_inputs = static_cast<int16_t>(from.inputs.size());
  s.n_outputs = static_cast<int16_t>(from.outputs.size());
  for (Value v : from.inputs) draft.plan.pointers.push_back(locate(draft, v));
  for (Value v : from.outputs) draft.plan.pointers.push_back(v.node >= 0 ? locate(draft, v) : Location{});
  if (from.scratch_storage >= 0) s.scratch_offset = draft.memory[from.scratch_storage].offset;
  if (from.unless_donated_storage >= 0) {
    const Storage& target = draft.memory[from.unless_donated_storage];
    if (target.kind == Storage::Kind::result && target.donor >= 0) s.unless_donated = target.index;
  }
  s.cost_ns = from.cost_ns;
  s.op = from.node->op;
  s.description = describe(draft, from);
  s.where = from.node->where;
  return s;
}

/// For devices that run whole plans: which steps wait for which.
void assign_lanes(PlanDraft& draft) {
  Plan& plan = draft.plan;
  // Spaces of memory: the workspace, then each input (with the results that may take its memory), then the other results.
  const auto use_of = [&](int32_t id, bool written) {
    const Storage& s = draft.memory[id];
    Lanes::Use use{0, 0, s.bytes, written};
    if (s.kind == Storage::Kind::workspace) {
      use.begin = s.offset;
      use.end = s.offset + s.bytes;
    } else if (s.kind == Storage::Kind::input) {
      use.space = 1 + s.index;
    } else {
      use.space = s.donor >= 0 ? 1 + s.donor : 1 + plan.input_count + s.index;
    }
    return use;
  };
  Lanes lanes;
  size_t position = 0;
  for (const DraftStep& from : draft.steps) {
    if (from.removed) continue;
    std::vector<Lanes::Use> uses;
    for (size_t k = 0; k < from.inputs.size(); ++k) {
      const int32_t id = draft.at(from.inputs[k]).storage;
      const Storage::Kind kind = draft.memory[id].kind;
      if (kind != Storage::Kind::constant && kind != Storage::Kind::scalar) uses.push_back(use_of(id, k == 0 && from.updates_first_input));
    }
    for (const Value v : from.outputs) {
      if (v.node >= 0) uses.push_back(use_of(draft.at(v).storage, true));
    }
    if (from.scratch_storage >= 0) uses.push_back(use_of(from.scratch_storage, true));
    Lanes::Choice choice = lanes.next(uses);
    Step& step = plan.steps[position++];
    step.lane = choice.lane;
    step.first_wait = static_cast<int32_t>(plan.waits.size());
    step.n_waits = static_cast<int32_t>(choice.after.size());
    plan.waits.insert(plan.waits.end(), choice.after.begin(), choice.after.end());
  }
}

void write_steps(PlanDraft& draft) {
  Plan& plan = draft.plan;
  int32_t wave = -1;
  for (const DraftStep& from : draft.steps) {
    if (from.removed) continue;
    if (from.wave != wave) {
      wave = from.wave;
      plan.waves.push_back({static_cast<int32_t>(plan.steps.size()), 0, 0, false});
    }
    plan.steps.push_back(step_of(draft, from));
    plan.thread_scratch_bytes = std::max(plan.thread_scratch_bytes, from.prepared.thread_scratch_bytes);
    Wave& w = plan.waves.back();
    ++w.count;
    w.cost_ns += from.cost_ns;
    int64_t tasks = 0;
    for (const Kernel& k : from.prepared.phases) tasks = std::max(tasks, k.tasks);
    w.parallel = plan.runner == nullptr && (w.count > 1 || tasks > 1) && w.cost_ns > draft.scheduling.threads_ns;
    plan.cost_ns += from.cost_ns;
  }
  plan.thread_scratch_bytes = static_cast<size_t>(align_up(static_cast<int64_t>(plan.thread_scratch_bytes)));
}

}  // namespace

Plan write_plan(PlanDraft draft) {
  Plan& plan = draft.plan;
  plan.runner = draft.backend.runner();
  write_steps(draft);
  if (plan.runner == nullptr) {
    const bool alone = std::any_of(plan.steps.begin(), plan.steps.end(), [](const Step& s) { return s.prepared.takes_turns; });
    plan.run_inline = !alone && plan.cost_ns < draft.scheduling.inline_ns;
  } else {
    // The costs are those of the host's kernels; what counts is the time that launches take.
    plan.run_inline = plan.steps.size() <= draft.scheduling.inline_steps;
    plan.state = plan.runner->new_state();
    assign_lanes(draft);
  }
  return std::move(plan);
}

}  // namespace lazuli
