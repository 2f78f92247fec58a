// Defines Workload, the recorded graph of one prefill, decoding or training step or embedded batch of a model, and its memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "embed/any_model.h"
#include "lazuli/adapter.h"
#include "lazuli/graph.h"
#include "lazuli/optimizer.h"
#include "plan/plan.h"

namespace lazuli {

enum class WorkloadKind : uint8_t { prefill, decode, train, embed };
/// Parses the names above; throws ValueError.
WorkloadKind parse_workload(std::string_view name);
std::string_view name_of(WorkloadKind kind);

struct WorkloadOptions {
  WorkloadKind kind = WorkloadKind::decode;
  int64_t tokens = 512;      ///< prefill: of the prompt's part; decode: positions of the cache; others: of each window or text
  int64_t capacity = 0;      ///< prefill: positions of the cache; 0: as many as tokens
  int64_t batch = 1;         ///< train: windows in a step, or pairs of texts; embed: texts
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

/// Records what the program would run; nothing is computed. `adapter` may be null. An encoder is trained on pairs by contrast. Throws
/// ValueError for sizes that the model cannot have, and for what it does not do. Texts to embed are recorded as they run on the device.
Workload record_workload(const AnyModel& model, const Adapter* adapter, const WorkloadOptions& options, Device device = {});

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
