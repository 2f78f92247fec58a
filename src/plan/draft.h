// Defines PlanDraft, which the stages of planning pass on: values, steps and memory before they are written into a Plan.
#pragma once

#include <vector>

#include "backend/backend.h"
#include "backend/plan.h"
#include "lazuli/graph.h"

namespace lazuli {

/// A block of memory that one or more values share over a range of waves.
struct Storage {
  enum class Kind : uint8_t { workspace, input, scalar, constant, result };
  Kind kind = Kind::workspace;
  int32_t index = -1;  ///< of the input, scalar, constant or output buffer
  int64_t bytes = 0;
  int64_t offset = 0;  ///< in the workspace
  int32_t first_wave = INT32_MAX;
  int32_t last_wave = -1;
  int32_t last_use = -1;  ///< last step that reads it (INT32_MAX: results hold it)
  int32_t donor = -1;     ///< donated input whose memory it may take
  bool donated = false;   ///< an input whose memory may be taken
};

/// Storages by number; several may become one (union-find).
class DraftMemory {
 public:
  int32_t add(const Storage& storage);
  /// Of memory in the workspace.
  int32_t add(int64_t bytes);
  /// `from` becomes part of `into`.
  void merge(int32_t from, int32_t into);
  /// The storage that this one has become part of, or itself.
  int32_t root(int32_t s) const {
    while (parent_[static_cast<size_t>(s)] != s) s = parent_[static_cast<size_t>(s)];
    return s;
  }
  Storage& operator[](int32_t s) { return storages_[static_cast<size_t>(root(s))]; }
  const Storage& operator[](int32_t s) const { return storages_[static_cast<size_t>(root(s))]; }
  /// Numbers that have been given, those of merged storages too.
  int32_t count() const { return static_cast<int32_t>(storages_.size()); }
  /// Whether it lies in the workspace, is part of no other and is used by a step.
  bool takes_workspace(int32_t s) const;

 private:
  std::vector<Storage> storages_;
  std::vector<int32_t> parent_;
};

/// A value as kernels see it: part of a storage, through strides.
struct Placed {
  int32_t storage = -1;
  int64_t offset = 0;  ///< bytes
  Strides strides;
  bool contiguous = true;
};

/// A kernel to be run, before memory is placed.
struct DraftStep {
  PreparedOp prepared;
  std::vector<Value> inputs;
  std::vector<Value> outputs;  ///< node -1: a result that nobody reads
  const GraphNode* node = nullptr;
  int32_t wave = -1;
  int32_t unless_donated_storage = -1;
  int32_t scratch_storage = -1;
  double cost_ns = 0;
  bool joins = false;                ///< short enough to run beside others
  bool removed = false;              ///< a copy that sharing memory made needless
  bool updates_first_input = false;  ///< writes into the memory of input 0 (slice_update, page_update, scatters)
};

struct PlanDraft {
  explicit PlanDraft(const Backend& of) : backend(of), scheduling(of.scheduling()) {}

  const Backend& backend;  ///< the device's
  Scheduling scheduling;
  Plan plan;                                ///< what is settled
  std::vector<std::vector<Placed>> placed;  ///< by node of the graph, output; grows by temporary values
  std::vector<std::vector<TensorSpec>> specs;
  DraftMemory memory;
  std::vector<DraftStep> steps;  ///< in the order in which they run
  std::vector<Value> results;

  const Placed& at(Value v) const { return placed[static_cast<size_t>(v.node)][static_cast<size_t>(v.out)]; }
  const TensorSpec& spec(Value v) const { return specs[static_cast<size_t>(v.node)][static_cast<size_t>(v.out)]; }
  Storage& storage(Value v) { return memory[at(v).storage]; }
  const Storage& storage(Value v) const { return memory[at(v).storage]; }
};

}  // namespace lazuli
