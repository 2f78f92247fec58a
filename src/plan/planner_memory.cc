// Sharing of memory in place, and lifetimes.
#include <algorithm>
#include <utility>

#include "plan/placement.h"
#include "plan/planner.h"

namespace lazuli {

bool Planner::used_elsewhere_in_wave(int32_t position, int32_t st) const {
  const int32_t wave = steps_[static_cast<size_t>(position)].wave;
  auto uses = [&](const DraftStep& s) {
    return std::any_of(s.inputs.begin(), s.inputs.end(), [&](Value v) { return root(placed(v).storage) == st; });
  };
  for (int32_t i = position - 1; i >= 0 && steps_[static_cast<size_t>(i)].wave == wave; --i) {
    if (uses(steps_[static_cast<size_t>(i)])) return true;
  }
  for (size_t i = static_cast<size_t>(position) + 1; i < steps_.size() && steps_[i].wave == wave; ++i) {
    if (uses(steps_[i])) return true;
  }
  return false;
}

void Planner::share_update_copy(int32_t position) {
  DraftStep& copy = steps_[static_cast<size_t>(position)];
  const Placed& from = placed(copy.inputs[0]);
  Storage& source = storage(from.storage);
  const Storage& target = storage(copy.unless_donated_storage);
  if (source.last_use != position || !from.contiguous || from.offset != 0 || source.bytes != target.bytes) return;
  if (source.kind == Storage::Kind::workspace) {
    merge(copy.unless_donated_storage, from.storage);
    copy.removed = true;
  } else if (source.kind == Storage::Kind::input && source.donated) {
    storage(copy.unless_donated_storage).donor = source.index;
  }
}

void Planner::try_share(int32_t position, size_t output, size_t input) {
  DraftStep& step = steps_[static_cast<size_t>(position)];
  if (output >= step.outputs.size() || step.outputs[output].node < 0 || input >= step.inputs.size()) return;
  const Value in = step.inputs[input], out = step.outputs[output];
  const Placed& from = placed(in);
  Storage& source = storage(from.storage);
  Storage& target = storage(placed(out).storage);
  if (source.last_use != position || !from.contiguous || from.offset != 0 || source.bytes != target.bytes) return;
  if (size_of(spec(in).dtype) != size_of(spec(out).dtype)) return;
  for (size_t k = 0; k < step.inputs.size(); ++k) {
    const Placed& other = placed(step.inputs[k]);
    if (k != input && root(other.storage) == root(from.storage) &&
        !(other.contiguous && other.offset == 0 && spec(step.inputs[k]) == spec(in)))
      return;
  }
  if (used_elsewhere_in_wave(position, root(from.storage))) return;
  if (source.kind == Storage::Kind::workspace) {
    merge(placed(out).storage, from.storage);
  } else if (source.kind == Storage::Kind::input && source.donated && target.donor < 0) {
    target.donor = source.index;
    source.donated = false;
  }
}

void Planner::share_in_place() {
  for (size_t i = 0; i < steps_.size(); ++i) {
    const auto position = static_cast<int32_t>(i);
    if (steps_[i].unless_donated_storage >= 0) {
      share_update_copy(position);
      continue;
    }
    for (size_t j = 0; j < steps_[i].prepared.in_place.size(); ++j) {
      if (steps_[i].prepared.in_place[j] >= 0) try_share(position, j, static_cast<size_t>(steps_[i].prepared.in_place[j]));
    }
  }
}

void Planner::bind_results() {
  for (Value v : results_) {
    const Placed& p = placed(v);
    Storage& s = storage(p.storage);
    if (s.kind == Storage::Kind::workspace) {
      s.kind = Storage::Kind::result;
      s.index = static_cast<int32_t>(plan_.buffers.size());
      plan_.buffers.push_back({static_cast<size_t>(s.bytes), s.donor});
      plan_.output_bytes += static_cast<size_t>(s.bytes);
    }
    ResultView view{spec(v), p.strides, p.offset, -1, -1};
    (s.kind == Storage::Kind::input ? view.input : view.buffer) = s.index;
    plan_.results.push_back(view);
  }
}

void Planner::assign_lifetimes() {
  auto touch = [&](int32_t st, int32_t wave) {
    Storage& s = storage(st);
    s.first_wave = std::min(s.first_wave, wave);
    s.last_wave = std::max(s.last_wave, wave);
  };
  for (const DraftStep& s : steps_) {
    if (s.removed) continue;
    for (Value v : s.inputs) touch(placed(v).storage, s.wave);
    for (Value v : s.outputs) {
      if (v.node >= 0) touch(placed(v).storage, s.wave);
    }
    if (s.scratch_storage >= 0) touch(s.scratch_storage, s.wave);
  }
}

void Planner::place_workspace() {
  std::vector<Storage*> all;
  for (size_t i = 0; i < storages_.size(); ++i) {
    Storage& s = storages_[i];
    if (parent_[i] == static_cast<int32_t>(i) && s.kind == Storage::Kind::workspace && s.last_wave >= 0 && s.bytes > 0) all.push_back(&s);
  }
  plan_.workspace_bytes = static_cast<size_t>(place(std::move(all)));
}

}  // namespace lazuli
