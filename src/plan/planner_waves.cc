// Which steps run side by side, and the order that lets them.
#include <algorithm>
#include <utility>
#include <vector>

#include "plan/planner.h"
#include "plan/waves.h"

namespace lazuli {

namespace {

constexpr double kSideBySideNs = 100e3;  ///< a longer step uses the threads alone
/// What another order may take more: a part of the workspace, or what caches hold anyway.
constexpr int64_t kPartOfWorkspace = 100;
constexpr int64_t kUnnoticed = 256 << 10;

int64_t allowance(int64_t bytes) { return std::max(bytes / kPartOfWorkspace, kUnnoticed); }

double step_cost(const DraftStep& s, double operand_bytes, const Scheduling& by) {
  const double bytes = s.prepared.bytes > 0 ? s.prepared.bytes : operand_bytes;
  return by.ns_per_step + std::max(bytes / by.bytes_per_ns, s.prepared.flops / by.flops_per_ns);
}

/// What an order of the steps costs.
struct Need {
  int64_t bytes = 0;   ///< alive in one wave at most; no placement takes less
  int64_t copies = 0;  ///< that are made since nothing lets its memory be taken
};

void estimate_costs(PlanDraft& draft) {
  for (DraftStep& s : draft.steps) {
    double operand_bytes = 0;
    for (Value v : s.inputs)
      operand_bytes += static_cast<double>(draft.spec(v).shape.numel()) * static_cast<double>(size_of(draft.spec(v).dtype));
    for (Value v : s.outputs) {
      if (v.node >= 0) operand_bytes += static_cast<double>(draft.storage(v).bytes);
    }
    s.cost_ns = step_cost(s, operand_bytes, draft.scheduling);
    const auto& phases = s.prepared.phases;
    s.joins = phases.size() == 1 && s.cost_ns < kSideBySideNs;
  }
}

/// Only neighbours join.
void assign_waves(PlanDraft& draft) {
  std::vector<int32_t> written(static_cast<size_t>(draft.memory.count()), -1);
  int32_t wave = -1, in_wave = 0;
  bool open = false;
  for (DraftStep& s : draft.steps) {
    const bool depends = wave >= 0 && std::any_of(s.inputs.begin(), s.inputs.end(), [&](Value v) {
                           return written[static_cast<size_t>(draft.memory.root(draft.at(v).storage))] == wave;
                         });
    if (!(open && s.joins && !depends && in_wave < WaveOrder::kMostInWave)) {
      ++wave;
      in_wave = 0;
    }
    open = s.joins;
    ++in_wave;
    s.wave = wave;
    for (Value v : s.outputs) {
      if (v.node >= 0) written[static_cast<size_t>(draft.memory.root(draft.at(v).storage))] = wave;
    }
  }
}

bool worth_moving(const PlanDraft& draft) {
  // A device's lanes find what may overlap by themselves, and a plan that the caller's thread runs has nobody to share with.
  if (draft.backend.runner() != nullptr) return false;
  double cost = 0;
  ptrdiff_t small = 0;
  for (const DraftStep& s : draft.steps) {
    cost += s.cost_ns;
    small += s.joins ? 1 : 0;
  }
  return small > 1 && cost >= draft.scheduling.inline_ns;
}

/// `apart`: memory before any was shared, with the uses of the present order marked.
WaveOrder order_of_waves(const PlanDraft& draft, const DraftMemory& apart, int64_t budget) {
  WaveOrder order(draft.steps.size(), budget);
  std::vector<int32_t> writer(static_cast<size_t>(apart.count()), -1), after;
  for (size_t i = 0; i < draft.steps.size(); ++i) {
    const DraftStep& s = draft.steps[i];
    after.clear();
    int64_t dying = 0, made = 0;
    for (Value v : s.inputs) {
      const int32_t from = draft.at(v).storage, written = writer[static_cast<size_t>(from)];
      if (written >= 0) after.push_back(written);
      if (apart[from].kind == Storage::Kind::workspace && apart[from].last_use == static_cast<int32_t>(i)) dying += apart[from].bytes;
    }
    for (Value v : s.outputs) {
      if (v.node < 0) continue;
      const int32_t to = draft.at(v).storage;
      int32_t& written = writer[static_cast<size_t>(to)];
      if (written < 0) made += apart[to].bytes;  // else a copy lies there, which this step changes
      written = static_cast<int32_t>(i);
    }
    if (s.scratch_storage >= 0) made += apart[s.scratch_storage].bytes;
    order.add(after, s.joins, std::max(dying, made));  // a result often takes the place of an operand
  }
  order.finish();
  return order;
}

Need need_of(const PlanDraft& draft) {
  std::vector<int64_t> change(draft.steps.empty() ? 1 : static_cast<size_t>(draft.steps.back().wave) + 2, 0);
  for (int32_t k = 0; k < draft.memory.count(); ++k) {
    if (!draft.memory.takes_workspace(k)) continue;
    const Storage& s = draft.memory[k];
    change[static_cast<size_t>(s.first_wave)] += s.bytes;
    change[static_cast<size_t>(s.last_wave) + 1] -= s.bytes;
  }
  Need n;
  int64_t alive = 0;
  for (const int64_t bytes : change) n.bytes = std::max(n.bytes, alive += bytes);
  n.copies = std::count_if(draft.steps.begin(), draft.steps.end(),
                           [](const DraftStep& s) { return s.unless_donated_storage >= 0 && !s.removed; }) -
             std::count_if(draft.plan.buffers.begin(), draft.plan.buffers.end(), [](const OutputBuffer& b) { return b.donor >= 0; });
  return n;
}

/// In the order that a WaveOrder found; the waves are the steps' own.
void take_order(PlanDraft& draft, const std::vector<int32_t>& order) {
  std::vector<DraftStep> steps;
  steps.reserve(draft.steps.size());
  for (const int32_t k : order) steps.push_back(std::move(draft.steps[static_cast<size_t>(k)]));
  draft.steps = std::move(steps);
}

}  // namespace

void arrange(PlanDraft& draft) {
  estimate_costs(draft);
  assign_waves(draft);
  mark_uses(draft);
  if (!worth_moving(draft)) {
    share_memory(draft);
    return place_workspace(draft);
  }
  const DraftMemory apart = draft.memory;
  share_memory(draft);
  const Need before = need_of(draft);
  const WaveOrder moved = order_of_waves(draft, apart, allowance(before.bytes));
  std::vector<DraftStep>& steps = draft.steps;
  if (moved.wave_count() > steps.back().wave) return place_workspace(draft);

  std::vector<int32_t> waves(steps.size()), back(steps.size());
  for (size_t k = 0; k < steps.size(); ++k) {
    const auto step = static_cast<size_t>(moved.order()[k]);
    back[step] = static_cast<int32_t>(k);
    waves[step] = std::exchange(steps[step].wave, moved.waves()[k]);
  }
  const auto rearrange = [&](const std::vector<int32_t>& order) {
    take_order(draft, order);
    draft.memory = apart;
    mark_uses(draft);
    share_memory(draft);
  };
  rearrange(moved.order());
  const bool copies_more = need_of(draft).copies > before.copies;
  place_workspace(draft);
  const auto bytes = static_cast<int64_t>(draft.plan.workspace_bytes);
  if (!copies_more && bytes <= before.bytes + allowance(before.bytes)) return;
  for (size_t k = 0; k < steps.size(); ++k) steps[k].wave = waves[static_cast<size_t>(moved.order()[k])];
  rearrange(back);
  place_workspace(draft);
}

}  // namespace lazuli
