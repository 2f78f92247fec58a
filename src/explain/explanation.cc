// Runs the optimiser and the planner on a workload and keeps what they did.
#include "explain/explanation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "lazuli/error.h"

namespace lazuli {

namespace {

std::string stage_name(const std::vector<Stage>& stages, std::string_view pass) {
  const auto earlier = std::count_if(stages.begin(), stages.end(), [&](const Stage& s) { return s.report.name == pass; });
  return earlier == 0 ? std::string(pass) : fmt::format("{}.{}", pass, earlier + 1);
}

std::map<std::string, int64_t> op_counts(const ComputationGraph& graph) {
  std::map<std::string, int64_t> counts;
  for (const GraphNode& n : graph.nodes) ++counts[std::string(name_of(n.op))];
  return counts;
}

}  // namespace

Explanation explain(const AnyModel& model, const Adapter* adapter, const WorkloadOptions& options, Device device) {
  Explanation e;
  e.info = model.info();
  e.model = e.info.path;
  e.workload = record_workload(model, adapter, options, device);
  e.stages.push_back({"recorded", {}, e.workload.graph});
  e.plan = plan_workload(e.workload, device, [&e](const PassReport& pass, const ComputationGraph& graph) {
    std::string name = stage_name(e.stages, pass.name);
    e.stages.push_back({std::move(name), pass, graph});
  });
  e.memory = memory_of(e.workload, e.plan);
  return e;
}

std::string kernel_name(const Step& step) {
  const std::string_view name = step.prepared.name;
  return std::string(name.empty() ? name_of(step.op) : name);
}

std::string where_text(const Where& where) { return where.file == nullptr ? "" : fmt::format("{}:{}", where.file, where.line); }

std::vector<KernelUse> kernel_uses(const Plan& plan) {
  std::map<std::string, KernelUse> by_name;
  for (const Step& step : plan.steps) {
    KernelUse& use = by_name[step.unless_donated < 0 ? kernel_name(step) : "copy (not run)"];
    ++use.count;
    if (step.unless_donated >= 0) continue;
    use.bytes += step.prepared.bytes;
    use.flops += step.prepared.flops;
    use.cost_ns += step.cost_ns;
  }
  std::vector<KernelUse> uses;
  for (auto& [name, use] : by_name) {
    use.name = name;
    uses.push_back(std::move(use));
  }
  std::stable_sort(uses.begin(), uses.end(), [](const KernelUse& a, const KernelUse& b) { return a.cost_ns > b.cost_ns; });
  return uses;
}

std::vector<RefusalCount> refusal_counts(const Explanation& e) {
  std::vector<RefusalCount> counts;
  for (const Stage& stage : e.stages) {
    for (const Refusal& r : stage.report.refused) {
      const auto same = std::find_if(counts.begin(), counts.end(), [&](const RefusalCount& c) {
        return c.pass == stage.name && c.pattern == r.pattern && c.reason == r.reason && c.op == name_of(r.op);
      });
      if (same != counts.end()) {
        ++same->count;
      } else {
        counts.push_back({stage.name, std::string(r.pattern), std::string(r.reason), std::string(name_of(r.op)), where_text(r.where), 1});
      }
    }
  }
  return counts;
}

std::vector<std::pair<std::string, int64_t>> fused_counts(const ComputationGraph& graph) {
  std::map<std::string, int64_t> by_name;
  for (const GraphNode& n : graph.nodes) {
    if (!n.label.empty()) {
      ++by_name[n.label];
    } else if (info(n.op).cls == OpClass::fused || info(n.op).cls == OpClass::composite) {
      ++by_name[std::string(name_of(n.op))];
    }
  }
  std::vector<std::pair<std::string, int64_t>> counts(by_name.begin(), by_name.end());
  std::stable_sort(counts.begin(), counts.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  return counts;
}

std::vector<std::pair<std::string, int64_t>> op_changes(const ComputationGraph& before, const ComputationGraph& after) {
  std::map<std::string, int64_t> changes = op_counts(after);
  for (const auto& [op, count] : op_counts(before)) changes[op] -= count;
  std::vector<std::pair<std::string, int64_t>> list;
  for (const auto& change : changes) {
    if (change.second != 0) list.emplace_back(change);
  }
  std::stable_sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return std::abs(a.second) > std::abs(b.second); });
  return list;
}

const Stage& stage_by_name(const Explanation& e, const std::string& name) {
  if (name == "final") return e.stages.back();
  std::string names;
  for (const Stage& stage : e.stages) {
    if (stage.name == name) return stage;
    names += stage.name + ", ";
  }
  throw ValueError(fmt::format("[explain] no graph '{}', one of {}final is expected", name, names));
}

}  // namespace lazuli
