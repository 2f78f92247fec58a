// Which steps run side by side, and the order that lets them.
#include <algorithm>
#include <utility>

#include "plan/planner.h"

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

}  // namespace

void Planner::estimate_costs() {
  for (DraftStep& s : steps_) {
    double operand_bytes = 0;
    for (Value v : s.inputs) operand_bytes += static_cast<double>(spec(v).shape.numel()) * static_cast<double>(size_of(spec(v).dtype));
    for (Value v : s.outputs) {
      if (v.node >= 0) operand_bytes += static_cast<double>(storage(placed(v).storage).bytes);
    }
    s.cost_ns = step_cost(s, operand_bytes, scheduling_);
    const auto& phases = s.prepared.phases;
    s.joins = phases.size() == 1 && s.cost_ns < kSideBySideNs;
  }
}

/// Only neighbours join.
void Planner::assign_waves() {
  std::vector<int32_t> written(storages_.size(), -1);
  int32_t wave = -1, in_wave = 0;
  bool open = false;
  for (DraftStep& s : steps_) {
    const bool depends = wave >= 0 && std::any_of(s.inputs.begin(), s.inputs.end(),
                                                  [&](Value v) { return written[static_cast<size_t>(root(placed(v).storage))] == wave; });
    if (!(open && s.joins && !depends && in_wave < WaveOrder::kMostInWave)) {
      ++wave;
      in_wave = 0;
    }
    open = s.joins;
    ++in_wave;
    s.wave = wave;
    for (Value v : s.outputs) {
      if (v.node >= 0) written[static_cast<size_t>(root(placed(v).storage))] = wave;
    }
  }
}

bool Planner::worth_moving() const {
  // A device's lanes find what may overlap by themselves, and a plan that the caller's thread runs has nobody to share with.
  if (backend_.runner() != nullptr) return false;
  double cost = 0;
  ptrdiff_t small = 0;
  for (const DraftStep& s : steps_) {
    cost += s.cost_ns;
    small += s.joins ? 1 : 0;
  }
  return small > 1 && cost >= scheduling_.inline_ns;
}

/// `apart`: memory before any was shared, with the uses of the present order marked.
WaveOrder Planner::order_of_waves(const std::vector<Storage>& apart, int64_t budget) const {
  WaveOrder order(steps_.size(), budget);
  std::vector<int32_t> writer(apart.size(), -1), after;
  for (size_t i = 0; i < steps_.size(); ++i) {
    const DraftStep& s = steps_[i];
    after.clear();
    int64_t dying = 0, made = 0;
    for (Value v : s.inputs) {
      const auto from = static_cast<size_t>(placed(v).storage);
      if (writer[from] >= 0) after.push_back(writer[from]);
      if (apart[from].kind == Storage::Kind::workspace && apart[from].last_use == static_cast<int32_t>(i)) dying += apart[from].bytes;
    }
    for (Value v : s.outputs) {
      if (v.node < 0) continue;
      const auto to = static_cast<size_t>(placed(v).storage);
      if (writer[to] < 0) made += apart[to].bytes;  // else a copy lies there, which this step changes
      writer[to] = static_cast<int32_t>(i);
    }
    if (s.scratch_storage >= 0) made += apart[static_cast<size_t>(s.scratch_storage)].bytes;
    order.add(after, s.joins, std::max(dying, made));  // a result often takes the place of an operand
  }
  order.finish();
  return order;
}

/// With the uses of the present order marked.
void Planner::share_memory() {
  plan_.buffers.clear();
  plan_.results.clear();
  plan_.output_bytes = 0;
  for (DraftStep& s : steps_) s.removed = false;
  share_in_place();
  bind_results();
  assign_lifetimes();
}

Planner::Need Planner::need() const {
  std::vector<int64_t> change(steps_.empty() ? 1 : static_cast<size_t>(steps_.back().wave) + 2, 0);
  for (size_t i = 0; i < storages_.size(); ++i) {
    const Storage& s = storages_[i];
    if (parent_[i] != static_cast<int32_t>(i) || s.kind != Storage::Kind::workspace || s.last_wave < 0) continue;
    change[static_cast<size_t>(s.first_wave)] += s.bytes;
    change[static_cast<size_t>(s.last_wave) + 1] -= s.bytes;
  }
  Need n;
  int64_t alive = 0;
  for (const int64_t bytes : change) n.bytes = std::max(n.bytes, alive += bytes);
  n.copies = std::count_if(steps_.begin(), steps_.end(), [](const DraftStep& s) { return s.unless_donated_storage >= 0 && !s.removed; }) -
             std::count_if(plan_.buffers.begin(), plan_.buffers.end(), [](const OutputBuffer& b) { return b.donor >= 0; });
  return n;
}

/// In the order that a WaveOrder found; the waves are the steps' own.
void Planner::take_order(const std::vector<int32_t>& order) {
  std::vector<DraftStep> steps;
  steps.reserve(steps_.size());
  for (const int32_t k : order) steps.push_back(std::move(steps_[static_cast<size_t>(k)]));
  steps_ = std::move(steps);
}

void Planner::arrange() {
  estimate_costs();
  assign_waves();
  mark_uses();
  if (!worth_moving()) {
    share_memory();
    return place_workspace();
  }
  const std::vector<Storage> apart = storages_;
  const std::vector<int32_t> own = parent_;
  share_memory();
  const Need before = need();
  const WaveOrder moved = order_of_waves(apart, allowance(before.bytes));
  if (moved.wave_count() > steps_.back().wave) return place_workspace();

  std::vector<int32_t> waves(steps_.size()), back(steps_.size());
  for (size_t k = 0; k < steps_.size(); ++k) {
    const auto step = static_cast<size_t>(moved.order()[k]);
    back[step] = static_cast<int32_t>(k);
    waves[step] = std::exchange(steps_[step].wave, moved.waves()[k]);
  }
  const auto rearrange = [&](const std::vector<int32_t>& order) {
    take_order(order);
    storages_ = apart;
    parent_ = own;
    mark_uses();
    share_memory();
  };
  rearrange(moved.order());
  const bool copies_more = need().copies > before.copies;
  place_workspace();
  const auto bytes = static_cast<int64_t>(plan_.workspace_bytes);
  if (!copies_more && bytes <= before.bytes + allowance(before.bytes)) return;
  for (size_t k = 0; k < steps_.size(); ++k) steps_[k].wave = waves[static_cast<size_t>(moved.order()[k])];
  rearrange(back);
  place_workspace();
}

}  // namespace lazuli
