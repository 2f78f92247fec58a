// Defines Workload, the recorded graph of one prefill, one decoding step or one training step of a model, and what it needs in memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lazuli/adapter.h"
#include "lazuli/graph.h"
#include "lazuli/model.h"
#include "lazuli/optimizer.h"
#include "plan/plan.h"

namespace lazuli {

enum class WorkloadKind : uint8_t { prefill, decode, train };
/// Parses the names above; throws ValueError.
WorkloadKind parse_workload(std::string_view name);
std::string_view name_of(WorkloadKind kind);

struct WorkloadOptions {
  WorkloadKind kind = WorkloadKind::decode;
  int64_t tokens = 512;      ///< prefill: of the prompt's part; decode: positions of the cache; train: of each window
  int64_t capacity = 0;      ///< prefill: positions of the cache; 0: as many as tokens
  int64_t batch = 1;         ///< train: windows in a step
  LoRAConfig lora = {};      ///< train: the adapter, unless one is given
  double max_grad_norm = 1;  ///< train
};

struct Workload {
  WorkloadOptions options;
  ComputationGraph graph;
  std::vector<Strides> input_strides;
  uint64_t weight_bytes = 0;    ///< of values that the function closes over, each buffer once
  uint64_t argument_bytes = 0;  ///< of what a run is given: ids, cache, adapter and its moments
};

/// Records what the program would run; nothing is computed. `adapter` may be null. Throws ValueError for sizes that the model cannot have.
Workload record_workload(const std::shared_ptr<const LanguageModel>& model, const Adapter* adapter, const WorkloadOptions& options);

/// The plan that a run on the device would use.
Plan plan_workload(const Workload& workload, Device device, GraphOptimizer::Observer observer = {});

/// Bytes that a run holds at once, by what they are for.
struct MemoryUse {
  uint64_t weights = 0, arguments = 0, workspace = 0, results = 0;
  uint64_t total() const { return weights + arguments + workspace + results; }
};
/// Results that take the memory of arguments count as these.
MemoryUse memory_of(const Workload& workload, const Plan& plan);

}  // namespace lazuli
