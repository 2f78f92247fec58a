// Waves, sharing of memory in place, and the placement of intermediates in one workspace.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "plan/planner.h"

namespace lazuli {

namespace {

constexpr int64_t kAlign = 64;
constexpr int32_t kMaxWave = 64;
constexpr double kSideBySideNs = 50e3;   ///< a longer step uses the threads alone
constexpr double kWorthThreadsNs = 8e3;  ///< a shorter wave costs less than waking the team
constexpr double kInlineNs = 20e3;

int64_t align_up(int64_t n) { return (n + kAlign - 1) / kAlign * kAlign; }

double step_cost(const DraftStep& s, double operand_bytes) {
  const double bytes = s.prepared.bytes > 0 ? s.prepared.bytes : operand_bytes;
  return 60 + std::max(bytes / 8.0, s.prepared.flops / 50.0);
}

/// Free ranges of a growing arena, by offset; used when there are too many intermediates for the quadratic placement.
class FreeList {
 public:
  int64_t take(int64_t bytes) {
    auto best = free_.end();
    for (auto it = free_.begin(); it != free_.end(); ++it) {
      if (it->second >= bytes && (best == free_.end() || it->second < best->second)) best = it;
    }
    if (best == free_.end()) {
      const int64_t offset = end_;
      end_ += bytes;
      return offset;
    }
    const int64_t offset = best->first, rest = best->second - bytes;
    free_.erase(best);
    if (rest > 0) free_[offset + bytes] = rest;
    return offset;
  }
  void give(int64_t offset, int64_t bytes) {
    auto next = free_.lower_bound(offset);
    if (next != free_.end() && offset + bytes == next->first) {
      bytes += next->second;
      next = free_.erase(next);
    }
    if (next != free_.begin()) {
      auto before = std::prev(next);
      if (before->first + before->second == offset) {
        before->second += bytes;
        return;
      }
    }
    free_[offset] = bytes;
  }
  int64_t end() const { return end_; }

 private:
  std::map<int64_t, int64_t> free_;
  int64_t end_ = 0;
};

/// Largest first, each at the lowest offset that no storage alive at the same time takes.
int64_t place_by_size(std::vector<Storage*> all) {
  std::stable_sort(all.begin(), all.end(), [](const Storage* a, const Storage* b) { return a->bytes > b->bytes; });
  std::vector<const Storage*> by_offset;
  int64_t end = 0;
  for (Storage* s : all) {
    int64_t offset = 0;
    const int64_t bytes = align_up(s->bytes);
    for (const Storage* other : by_offset) {
      if (other->last_wave < s->first_wave || other->first_wave > s->last_wave) continue;
      if (offset + bytes <= other->offset) break;
      offset = std::max(offset, other->offset + align_up(other->bytes));
    }
    s->offset = offset;
    end = std::max(end, offset + bytes);
    by_offset.insert(
        std::upper_bound(by_offset.begin(), by_offset.end(), s, [](const Storage* a, const Storage* b) { return a->offset < b->offset; }),
        s);
  }
  return end;
}

/// In order of time with a free list: near linear.
int64_t place_by_time(std::vector<Storage*> all) {
  std::stable_sort(all.begin(), all.end(), [](const Storage* a, const Storage* b) { return a->first_wave < b->first_wave; });
  std::multimap<int32_t, Storage*> alive;
  FreeList arena;
  for (Storage* s : all) {
    while (!alive.empty() && alive.begin()->first < s->first_wave) {
      arena.give(alive.begin()->second->offset, align_up(alive.begin()->second->bytes));
      alive.erase(alive.begin());
    }
    s->offset = arena.take(align_up(s->bytes));
    alive.emplace(s->last_wave, s);
  }
  return arena.end();
}

}  // namespace

void Planner::assign_waves() {
  std::vector<int32_t> written(storages_.size(), -1);
  int32_t wave = -1, in_wave = 0;
  bool open = false;
  for (DraftStep& s : steps_) {
    double operand_bytes = 0;
    bool depends = false;
    for (Value v : s.inputs) {
      const int32_t st = root(placed(v).storage);
      depends = depends || (written[static_cast<size_t>(st)] == wave && wave >= 0);
      operand_bytes += static_cast<double>(spec(v).shape.numel()) * static_cast<double>(size_of(spec(v).dtype));
    }
    for (Value v : s.outputs) {
      if (v.node >= 0) operand_bytes += static_cast<double>(storage(placed(v).storage).bytes);
    }
    s.cost_ns = step_cost(s, operand_bytes);
    bool team = false;
    for (const Kernel& k : s.prepared.phases) team = team || k.whole_team;
    const bool joins = s.prepared.phases.size() == 1 && !team && s.cost_ns < kSideBySideNs;
    if (!(open && joins && !depends && in_wave < kMaxWave)) {
      ++wave;
      in_wave = 0;
    }
    open = joins;
    ++in_wave;
    s.wave = wave;
    for (Value v : s.outputs) {
      if (v.node >= 0) written[static_cast<size_t>(root(placed(v).storage))] = wave;
    }
  }
}

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
  constexpr size_t kQuadraticLimit = 4000;
  std::vector<Storage*> all;
  for (size_t i = 0; i < storages_.size(); ++i) {
    Storage& s = storages_[i];
    if (parent_[i] == static_cast<int32_t>(i) && s.kind == Storage::Kind::workspace && s.last_wave >= 0 && s.bytes > 0) all.push_back(&s);
  }
  const int64_t end = all.size() <= kQuadraticLimit ? place_by_size(all) : place_by_time(all);
  plan_.workspace_bytes = static_cast<size_t>(align_up(end));
}

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

void Planner::emit() {
  bool team = false;
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
    for (const Kernel& k : draft.prepared.phases) {
      team = team || k.whole_team;
      tasks = std::max(tasks, k.tasks);
    }
    w.parallel = (w.count > 1 || tasks > 1) && w.cost_ns > kWorthThreadsNs;
    plan_.cost_ns += draft.cost_ns;
  }
  plan_.thread_scratch_bytes = static_cast<size_t>(align_up(static_cast<int64_t>(plan_.thread_scratch_bytes)));
  plan_.run_inline = plan_.cost_ns < kInlineNs && !team;
}

}  // namespace lazuli
