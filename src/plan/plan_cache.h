// Defines PlanCache: plans by the structure and sizes of the graphs that they run.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "graph/capture.h"
#include "lazuli/optimizer.h"
#include "lazuli/plan_cache.h"
#include "plan/plan.h"

namespace lazuli {

/// Two levels. A template is a graph optimised once for a structure; a plan is a template fitted to sizes. Both are found by comparing the
/// whole key, to which the device and whether runs are deterministic belong. Thread-safe; plans that are running stay alive when they are
/// evicted.
class PlanCache {
 public:
  /// The plan for what was captured, or null.
  std::shared_ptr<const Plan> find(const Capture& capture, Device device);
  /// Makes and keeps the plan for a capture that `find` did not know. `graph` and `strides`: what Capture::graph gave.
  std::shared_ptr<const Plan> make(const Capture& capture, ComputationGraph graph, std::vector<Strides> strides, Device device);

  PlanCacheStats stats() const;
  void set_limits(size_t entries, size_t bytes);
  void clear();
  void set_optimizer(GraphOptimizer optimizer);

  static PlanCache& global();

  PlanCache();

 private:
  struct Template {
    std::vector<uint64_t> structure;
    std::vector<int64_t> dims;
    ComputationGraph captured;
    ComputationGraph optimised;
    std::vector<Strides> input_strides;
    Device device;
    bool deterministic = false;
    size_t bytes = 0;
  };
  struct Entry {
    uint64_t hash;
    std::shared_ptr<const Template> of;
    std::vector<int64_t> dims;
    std::shared_ptr<const Plan> plan;
    size_t bytes = 0;
  };

  std::shared_ptr<const Template> find_template(const Capture& capture, Device device) const;
  std::shared_ptr<const Template> make_template(const Capture& capture, ComputationGraph graph, std::vector<Strides> strides,
                                                Device device);
  std::string explain_miss(const Capture& capture, const Template* same_structure, const ComputationGraph* graph) const;
  void insert(Entry entry);
  void evict();
  GraphOptimizer current_optimizer() const;

  mutable std::mutex mutex_;
  std::list<Entry> lru_;  ///< most recent first
  std::unordered_multimap<uint64_t, std::list<Entry>::iterator> by_hash_;
  std::unordered_multimap<uint64_t, std::weak_ptr<const Template>> templates_;
  PlanCacheStats stats_;
  GraphOptimizer optimizer_;
  size_t max_entries_ = 512;
  size_t max_bytes_ = size_t{256} << 20;
};

/// The graph with every dimension renamed (`from[k]` becomes `to[k]`), shapes of fused programs included.
ComputationGraph rename_dims(const ComputationGraph& graph, const std::vector<int64_t>& from, std::span<const int64_t> to);
/// Where two graphs first differ, in words: an op, an attribute, a dtype, a rank, a dimension.
std::string first_difference(const ComputationGraph& before, const ComputationGraph& now);

}  // namespace lazuli
