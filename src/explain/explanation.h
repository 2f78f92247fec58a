// Defines Explanation, what the optimiser and the planner made of a workload, and its texts.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "explain/workload.h"
#include "lazuli/optimizer.h"

namespace lazuli {

/// The graph before the first pass (`recorded`), or as a pass left it.
struct Stage {
  std::string name;   ///< of the pass; `cse.2` for the second one of a name
  PassReport report;  ///< empty for `recorded`
  ComputationGraph graph;
};

struct Explanation {
  std::string model;
  ModelInfo info;
  Workload workload;
  std::vector<Stage> stages;  ///< the first one is `recorded`
  Plan plan;
  MemoryUse memory;
};

/// Steps of a plan that run the same kernel.
struct KernelUse {
  std::string name;
  int64_t count = 0;
  double bytes = 0, flops = 0, cost_ns = 0;
};
/// Equal refusals of one pass.
struct RefusalCount {
  std::string pass, pattern, reason, op, where;  ///< `where`: of the first one
  int64_t count = 0;
};

Explanation explain(const AnyModel& model, const Adapter* adapter, const WorkloadOptions& options, Device device);

/// By estimated time, the largest first. Copies that a run leaves out because their source was donated count as `copy (not run)`, without
/// bytes and time.
std::vector<KernelUse> kernel_uses(const Plan& plan);
/// In the order of the passes.
std::vector<RefusalCount> refusal_counts(const Explanation& e);
/// Fusions of the last graph by name, the most frequent first.
std::vector<std::pair<std::string, int64_t>> fused_counts(const ComputationGraph& graph);
/// By how many each op became more or fewer, the largest change first.
std::vector<std::pair<std::string, int64_t>> op_changes(const ComputationGraph& before, const ComputationGraph& after);
std::string kernel_name(const Step& step);
std::string where_text(const Where& where);

/// The graph of a stage by name, `final` being the last one. Throws ValueError with the names there are.
const Stage& stage_by_name(const Explanation& e, const std::string& name);

std::string explanation_text(const Explanation& e);
/// One JSON object on one line. Without graphs it stays small.
std::string explanation_json(const Explanation& e, bool with_graphs);
/// A page that needs nothing from anywhere else.
std::string explanation_html(const Explanation& e);

}  // namespace lazuli
