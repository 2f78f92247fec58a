// Writes the drafted steps into the Plan.
#include <fmt/format.h>

#include <algorithm>

#include "plan/lanes.h"
#include "plan/placement.h"
#include "plan/planner.h"

namespace lazuli {

Location Planner::locate(Value v) const {
  const Placed& p = placed(v);
  const Storage& s = storage(p.storage);
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

std::string Planner::describe(const DraftStep& draft) const {
  std::string text = fmt::format("[{}]", draft.node->label.empty() ? std::string(name_of(draft.node->op)) : draft.node->label);
  const char* between = " ";
  for (Value v : draft.inputs) {
    text += fmt::format("{}{}{}", between, name_of(spec(v).dtype), to_string(spec(v).shape));
    between = ", ";
  }
  for (size_t k = 0; k < draft.outputs.size() && draft.outputs[k].node >= 0; ++k) {
    text += fmt::format("{}{}{}", k == 0 ? " -> " : ", ", name_of(spec(draft.outputs[k]).dtype), to_string(spec(draft.outputs[k]).shape));
  }
  return text;
}

void Planner::emit_step(const DraftStep& draft) {
  Step s;
  s.prepared = draft.prepared;
  s.first_pointer = static_cast<int32_t>(plan_.pointers.size());
  s.n_inputs = static_cast<int16_t>(draft.inputs.size());
  s.n_outputs = static_cast<int16_t>(draft.outputs.size());
  for (Value v : draft.inputs) plan_.pointers.push_back(locate(v));
  for (Value v : draft.outputs) plan_.pointers.push_back(v.node >= 0 ? locate(v) : Location{});
  if (draft.scratch_storage >= 0) s.scratch_offset = storage(draft.scratch_storage).offset;
  if (draft.unless_donated_storage >= 0) {
    const Storage& target = storage(draft.unless_donated_storage);
    if (target.kind == Storage::Kind::result && target.donor >= 0) s.unless_donated = target.index;
  }
  s.cost_ns = draft.cost_ns;
  s.op = draft.node->op;
  s.description = describe(draft);
  s.where = draft.node->where;
  plan_.thread_scratch_bytes = std::max(plan_.thread_scratch_bytes, draft.prepared.thread_scratch_bytes);
  plan_.steps.push_back(std::move(s));
}

/// For devices that run whole plans: which steps wait for which.
void Planner::assign_lanes() {
  // Spaces of memory: the workspace, then each input (with the results that may take its memory), then the other results.
  const auto use_of = [this](int32_t id, bool written) {
    const Storage& s = storage(id);
    Lanes::Use use{0, 0, s.bytes, written};
    if (s.kind == Storage::Kind::workspace) {
      use.begin = s.offset;
      use.end = s.offset + s.bytes;
    } else if (s.kind == Storage::Kind::input) {
      use.space = 1 + s.index;
    } else {
      use.space = s.donor >= 0 ? 1 + s.donor : 1 + plan_.input_count + s.index;
    }
    return use;
  };
  Lanes lanes;
  size_t position = 0;
  for (const DraftStep& draft : steps_) {
    if (draft.removed) continue;
    std::vector<Lanes::Use> uses;
    for (size_t k = 0; k < draft.inputs.size(); ++k) {
      const int32_t id = placed(draft.inputs[k]).storage;
      const Storage::Kind kind = storage(id).kind;
      if (kind != Storage::Kind::constant && kind != Storage::Kind::scalar) uses.push_back(use_of(id, k == 0 && draft.updates_first_input));
    }
    for (const Value v : draft.outputs) {
      if (v.node >= 0) uses.push_back(use_of(placed(v).storage, true));
    }
    if (draft.scratch_storage >= 0) uses.push_back(use_of(draft.scratch_storage, true));
    Lanes::Choice choice = lanes.next(uses);
    Step& step = plan_.steps[position++];
    step.lane = choice.lane;
    step.first_wait = static_cast<int32_t>(plan_.waits.size());
    step.n_waits = static_cast<int32_t>(choice.after.size());
    plan_.waits.insert(plan_.waits.end(), choice.after.begin(), choice.after.end());
  }
}

void Planner::emit() {
  plan_.runner = backend_.runner();
  int32_t wave = -1;
  for (const DraftStep& draft : steps_) {
    if (draft.removed) continue;
    if (draft.wave != wave) {
      wave = draft.wave;
      plan_.waves.push_back({static_cast<int32_t>(plan_.steps.size()), 0, 0, false});
    }
    emit_step(draft);
    Wave& w = plan_.waves.back();
    ++w.count;
    w.cost_ns += draft.cost_ns;
    int64_t tasks = 0;
    for (const Kernel& k : draft.prepared.phases) tasks = std::max(tasks, k.tasks);
    w.parallel = plan_.runner == nullptr && (w.count > 1 || tasks > 1) && w.cost_ns > scheduling_.threads_ns;
    plan_.cost_ns += draft.cost_ns;
  }
  plan_.thread_scratch_bytes = static_cast<size_t>(align_up(static_cast<int64_t>(plan_.thread_scratch_bytes)));
  if (plan_.runner == nullptr) {
    const bool alone = std::any_of(plan_.steps.begin(), plan_.steps.end(), [](const Step& s) { return s.prepared.takes_turns; });
    plan_.run_inline = !alone && plan_.cost_ns < scheduling_.inline_ns;
  } else {
    // The costs are those of the host's kernels; what counts is the time that launches take.
    plan_.run_inline = plan_.steps.size() <= scheduling_.inline_steps;
    plan_.state = plan_.runner->new_state();
    assign_lanes();
  }
}

}  // namespace lazuli
