// Sharing of memory in place, and lifetimes.
#include <algorithm>
#include <utility>

#include "plan/placement.h"
#include "plan/planner.h"

namespace lazuli {

namespace {

bool used_elsewhere_in_wave(const PlanDraft& draft, int32_t position, int32_t st) {
  const int32_t wave = draft.steps[static_cast<size_t>(position)].wave;
  auto uses = [&](const DraftStep& s) {
    return std::any_of(s.inputs.begin(), s.inputs.end(), [&](Value v) { return draft.memory.root(draft.at(v).storage) == st; });
  };
  for (int32_t i = position - 1; i >= 0 && draft.steps[static_cast<size_t>(i)].wave == wave; --i) {
    if (uses(draft.steps[static_cast<size_t>(i)])) return true;
  }
  for (size_t i = static_cast<size_t>(position) + 1; i < draft.steps.size() && draft.steps[i].wave == wave; ++i) {
    if (uses(draft.steps[i])) return true;
  }
  return false;
}

void share_update_copy(PlanDraft& draft, int32_t position) {
  DraftStep& copy = draft.steps[static_cast<size_t>(position)];
  const Placed& from = draft.at(copy.inputs[0]);
  Storage& source = draft.memory[from.storage];
  const Storage& target = draft.memory[copy.unless_donated_storage];
  if (source.last_use != position || !from.contiguous || from.offset != 0 || source.bytes != target.bytes) return;
  if (source.kind == Storage::Kind::workspace) {
    draft.memory.merge(copy.unless_donated_storage, from.storage);
    copy.removed = true;
  } else if (source.kind == Storage::Kind::input && source.donated) {
    draft.memory[copy.unless_donated_storage].donor = source.index;
  }
}

void try_share(PlanDraft& draft, int32_t position, size_t output, size_t input) {
  DraftStep& step = draft.steps[static_cast<size_t>(position)];
  if (output >= step.outputs.size() || step.outputs[output].node < 0 || input >= step.inputs.size()) return;
  const Value in = step.inputs[input], out = step.outputs[output];
  const Placed& from = draft.at(in);
  Storage& source = draft.memory[from.storage];
  Storage& target = draft.storage(out);
  if (source.last_use != position || !from.contiguous || from.offset != 0 || source.bytes != target.bytes) return;
  if (size_of(draft.spec(in).dtype) != size_of(draft.spec(out).dtype)) return;
  for (size_t k = 0; k < step.inputs.size(); ++k) {
    const Placed& other = draft.at(step.inputs[k]);
    if (k != input && draft.memory.root(other.storage) == draft.memory.root(from.storage) &&
        !(other.contiguous && other.offset == 0 && draft.spec(step.inputs[k]) == draft.spec(in)))
      return;
  }
  if (used_elsewhere_in_wave(draft, position, draft.memory.root(from.storage))) return;
  if (source.kind == Storage::Kind::workspace) {
    draft.memory.merge(draft.at(out).storage, from.storage);
  } else if (source.kind == Storage::Kind::input && source.donated && target.donor < 0) {
    target.donor = source.index;
    source.donated = false;
  }
}

void share_in_place(PlanDraft& draft) {
  for (size_t i = 0; i < draft.steps.size(); ++i) {
    const auto position = static_cast<int32_t>(i);
    if (draft.steps[i].unless_donated_storage >= 0) {
      share_update_copy(draft, position);
      continue;
    }
    for (size_t j = 0; j < draft.steps[i].prepared.in_place.size(); ++j) {
      if (draft.steps[i].prepared.in_place[j] >= 0) try_share(draft, position, j, static_cast<size_t>(draft.steps[i].prepared.in_place[j]));
    }
  }
}

void bind_results(PlanDraft& draft) {
  for (Value v : draft.results) {
    const Placed& p = draft.at(v);
    Storage& s = draft.memory[p.storage];
    if (s.kind == Storage::Kind::workspace) {
      s.kind = Storage::Kind::result;
      s.index = static_cast<int32_t>(draft.plan.buffers.size());
      draft.plan.buffers.push_back({static_cast<size_t>(s.bytes), s.donor});
      draft.plan.output_bytes += static_cast<size_t>(s.bytes);
    }
    ResultView view{draft.spec(v), p.strides, p.offset, -1, -1};
    (s.kind == Storage::Kind::input ? view.input : view.buffer) = s.index;
    draft.plan.results.push_back(view);
  }
}

void assign_lifetimes(PlanDraft& draft) {
  auto touch = [&](int32_t st, int32_t wave) {
    Storage& s = draft.memory[st];
    s.first_wave = std::min(s.first_wave, wave);
    s.last_wave = std::max(s.last_wave, wave);
  };
  for (const DraftStep& s : draft.steps) {
    if (s.removed) continue;
    for (Value v : s.inputs) touch(draft.at(v).storage, s.wave);
    for (Value v : s.outputs) {
      if (v.node >= 0) touch(draft.at(v).storage, s.wave);
    }
    if (s.scratch_storage >= 0) touch(s.scratch_storage, s.wave);
  }
}

}  // namespace

void mark_uses(PlanDraft& draft) {
  for (size_t i = 0; i < draft.steps.size(); ++i) {
    for (Value v : draft.steps[i].inputs) draft.storage(v).last_use = static_cast<int32_t>(i);
  }
  for (Value v : draft.results) draft.storage(v).last_use = INT32_MAX;
}

void share_memory(PlanDraft& draft) {
  draft.plan.buffers.clear();
  draft.plan.results.clear();
  draft.plan.output_bytes = 0;
  for (DraftStep& s : draft.steps) s.removed = false;
  share_in_place(draft);
  bind_results(draft);
  assign_lifetimes(draft);
}

void place_workspace(PlanDraft& draft) {
  std::vector<Storage*> all;
  for (int32_t s = 0; s < draft.memory.count(); ++s) {
    if (draft.memory.takes_workspace(s) && draft.memory[s].bytes > 0) all.push_back(&draft.memory[s]);
  }
  draft.plan.workspace_bytes = static_cast<size_t>(place(std::move(all)));
}

}  // namespace lazuli
