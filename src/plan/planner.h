// Defines Planner, which turns an optimised graph into a Plan: aliases, kernels, waves, memory.
#pragma once

#include <string>
#include <vector>

#include "plan/plan.h"
#include "plan/waves.h"

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

class Planner {
 public:
  /// `backend` is the device's. A plan that is not run needs no device but for the constants that it keeps there.
  Planner(const ComputationGraph& graph, Device device, const Backend& backend, const std::vector<Strides>& input_strides);
  Plan run();

 private:
  /// What an order of the steps costs.
  struct Need {
    int64_t bytes = 0;   ///< alive in one wave at most; no placement takes less
    int64_t copies = 0;  ///< that are made since nothing lets its memory be taken
  };

  void place_leaves(int32_t node);
  void place_view(int32_t node);
  void place_reshape(int32_t node, const Placed& from, Placed& to);
  void draft(int32_t node);
  void draft_copy(Value from, Value to);
  void draft_update(int32_t node);
  Value contiguous(Value v);
  Value new_value(const TensorSpec& spec, int64_t bytes);
  OperandSpec operand(Value v) const;
  void copy_unowned_results();
  void arrange();
  void take_order(const std::vector<int32_t>& order);
  void share_memory();
  Need need() const;
  void estimate_costs();
  void assign_waves();
  bool worth_moving() const;
  WaveOrder order_of_waves(const std::vector<Storage>& apart, int64_t budget) const;
  void mark_uses();
  void share_in_place();
  void share_update_copy(int32_t position);
  void try_share(int32_t position, size_t output, size_t input);
  bool used_elsewhere_in_wave(int32_t position, int32_t storage) const;
  void bind_results();
  void assign_lifetimes();
  void place_workspace();
  void emit();
  void emit_step(const DraftStep& draft);
  void assign_lanes();
  std::string describe(const DraftStep& draft) const;
  Location locate(Value v) const;
  void merge(int32_t from, int32_t into);
  int32_t root(int32_t storage) const;

  Placed& placed(Value v) { return placed_[static_cast<size_t>(v.node)][static_cast<size_t>(v.out)]; }
  const Placed& placed(Value v) const { return placed_[static_cast<size_t>(v.node)][static_cast<size_t>(v.out)]; }
  Storage& storage(int32_t s) { return storages_[static_cast<size_t>(root(s))]; }
  const Storage& storage(int32_t s) const { return storages_[static_cast<size_t>(root(s))]; }
  const TensorSpec& spec(Value v) const { return specs_[static_cast<size_t>(v.node)][static_cast<size_t>(v.out)]; }

  const ComputationGraph& graph_;
  const Backend& backend_;
  const Scheduling scheduling_ = backend_.scheduling();
  const std::vector<Strides>& input_strides_;
  Plan plan_;
  std::vector<std::vector<Placed>> placed_;  ///< by node, output; grows by temporary values
  std::vector<std::vector<TensorSpec>> specs_;
  std::vector<std::vector<bool>> used_;  ///< by node, output: somebody reads it
  std::vector<Storage> storages_;
  std::vector<int32_t> parent_;  ///< union-find over storages
  std::vector<DraftStep> steps_;
  std::vector<Value> results_;
};

}  // namespace lazuli
