#include "plan/plan_cache.h"

#include <algorithm>

#include "base/trace.h"
#include "lazuli/determinism.h"
#include "lazuli/optimize.h"

namespace lazuli {

namespace {

bool same(std::span<const uint64_t> a, const std::vector<uint64_t>& b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }
bool same(std::span<const int64_t> a, const std::vector<int64_t>& b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

uint64_t salt_of(Device d) {
  const uint64_t words = static_cast<uint64_t>(d.kind) << 8 | static_cast<uint64_t>(d.index) | static_cast<uint64_t>(deterministic()) << 32;
  return words * 0x9e3779b97f4a7c15ull;
}

size_t graph_bytes(const ComputationGraph& g) {
  size_t bytes = 0;
  for (const GraphNode& n : g.nodes) {
    bytes += sizeof(GraphNode) + n.inputs.size() * sizeof(Value) + n.outputs.size() * sizeof(TensorSpec);
    if (n.constant.defined()) bytes += n.constant.nbytes();
  }
  return bytes;
}

}  // namespace

PlanCache::PlanCache() : optimizer_(GraphOptimizer::standard()) {}

PlanCache& PlanCache::global() {
  static PlanCache* const cache = new PlanCache;  // plans may be in flight while the program ends
  return *cache;
}

std::shared_ptr<const Plan> PlanCache::make(const Capture& capture, ComputationGraph graph, std::vector<Strides> strides, Device device) {
  std::shared_ptr<const Template> of;
  {
    std::lock_guard lock(mutex_);
    of = find_template(capture, device);
    ++stats_.misses;
    if (of) ++stats_.specialisations;
  }
  // Made outside the lock: two threads may make the same plan, and the later one is kept.
  if (of == nullptr) {
    of = make_template(capture, std::move(graph), std::move(strides), device);
  } else {
    std::string reason = explain_miss(capture, of.get(), nullptr);
    std::lock_guard lock(mutex_);
    stats_.last_miss = std::move(reason);
  }
  Entry entry{capture.full_hash() ^ salt_of(device), of, {capture.dims().begin(), capture.dims().end()}, nullptr, 0};
  {
    trace::Scope scope("plan", "plan");
    auto plan = std::make_shared<Plan>(entry.dims == of->dims
                                           ? make_plan(of->optimised, device, of->input_strides)
                                           : make_plan(rename_dims(of->optimised, of->dims, entry.dims), device, of->input_strides));
    plan->deterministic = of->deterministic;
    plan->recorded_at.reserve(of->captured.size());
    for (const GraphNode& n : of->captured.nodes) plan->recorded_at.push_back(info(n.op).cls == OpClass::leaf ? Where{} : n.where);
    entry.bytes = plan->footprint() + entry.dims.size() * 8 + of->bytes;
    entry.plan = plan;
  }
  auto plan = entry.plan;
  insert(std::move(entry));
  return plan;
}

std::shared_ptr<const Plan> PlanCache::find(const Capture& capture, Device device) {
  std::lock_guard lock(mutex_);
  auto [begin, end] = by_hash_.equal_range(capture.full_hash() ^ salt_of(device));
  for (auto it = begin; it != end; ++it) {
    const Entry& e = *it->second;
    if (e.of->device == device && e.of->deterministic == deterministic() && same(capture.dims(), e.dims) &&
        same(capture.structure(), e.of->structure)) {
      ++stats_.hits;
      if (it->second != lru_.begin()) lru_.splice(lru_.begin(), lru_, it->second);
      return e.plan;
    }
  }
  return nullptr;
}

std::shared_ptr<const PlanCache::Template> PlanCache::find_template(const Capture& capture, Device device) const {
  auto [begin, end] = templates_.equal_range(capture.structure_hash());
  for (auto it = begin; it != end; ++it) {
    auto t = it->second.lock();
    if (t && t->device == device && t->deterministic == deterministic() && t->dims.size() == capture.dims().size() &&
        same(capture.structure(), t->structure))
      return t;
  }
  return nullptr;
}

std::shared_ptr<const PlanCache::Template> PlanCache::make_template(const Capture& capture, ComputationGraph graph,
                                                                    std::vector<Strides> strides, Device device) {
  auto t = std::make_shared<Template>();
  t->structure.assign(capture.structure().begin(), capture.structure().end());
  t->dims.assign(capture.dims().begin(), capture.dims().end());
  t->device = device;
  t->deterministic = deterministic();
  t->captured = std::move(graph);
  t->input_strides = std::move(strides);
  {
    trace::Scope scope("plan", "optimise");
    GraphOptimizer optimizer = current_optimizer();
    if (!optimizer.has_fold()) optimizer.set_fold(fold_on(device));
    t->optimised = t->captured;
    optimizer.run(t->optimised);
  }
  t->bytes = t->structure.size() * 8 + graph_bytes(t->captured) + graph_bytes(t->optimised);
  std::string reason = explain_miss(capture, nullptr, &t->captured);
  std::lock_guard lock(mutex_);
  stats_.last_miss = std::move(reason);
  for (auto it = templates_.begin(); it != templates_.end();) it = it->second.expired() ? templates_.erase(it) : std::next(it);
  templates_.emplace(capture.structure_hash(), t);
  return t;
}

std::string PlanCache::explain_miss(const Capture& capture, const Template* same_structure, const ComputationGraph* graph) const {
  if (same_structure != nullptr) {
    // The plan made last from this template is the natural "before".
    std::shared_ptr<const Template> keep;
    std::vector<int64_t> dims = same_structure->dims;
    {
      std::lock_guard lock(mutex_);
      for (const Entry& e : lru_) {
        if (e.of.get() == same_structure) {
          dims = e.dims;
          break;
        }
      }
    }
    return first_difference(rename_dims(same_structure->captured, same_structure->dims, dims),
                            rename_dims(same_structure->captured, same_structure->dims, capture.dims()));
  }
  std::shared_ptr<const Template> nearest;
  {
    std::lock_guard lock(mutex_);
    for (const Entry& e : lru_) {
      if (e.of->captured.nodes.size() != graph->nodes.size()) continue;
      const bool same_ops = std::equal(e.of->captured.nodes.begin(), e.of->captured.nodes.end(), graph->nodes.begin(),
                                       [](const GraphNode& a, const GraphNode& b) { return a.op == b.op; });
      if (same_ops) {
        nearest = e.of;
        break;
      }
    }
  }
  if (nearest == nullptr) return "no cached graph has the same ops";
  return first_difference(nearest->captured, *graph);
}

void PlanCache::insert(Entry entry) {
  std::lock_guard lock(mutex_);
  stats_.bytes += entry.bytes;
  const uint64_t hash = entry.hash;
  lru_.push_front(std::move(entry));
  by_hash_.emplace(hash, lru_.begin());
  evict();
}

void PlanCache::evict() {
  while (lru_.size() > 1 && (lru_.size() > max_entries_ || stats_.bytes > max_bytes_)) {
    auto last = std::prev(lru_.end());
    auto [begin, end] = by_hash_.equal_range(last->hash);
    for (auto it = begin; it != end; ++it) {
      if (it->second == last) {
        by_hash_.erase(it);
        break;
      }
    }
    stats_.bytes -= last->bytes;
    ++stats_.evictions;
    lru_.erase(last);
  }
}

PlanCacheStats PlanCache::stats() const {
  std::lock_guard lock(mutex_);
  PlanCacheStats s = stats_;
  s.entries = lru_.size();
  return s;
}

void PlanCache::set_limits(size_t entries, size_t bytes) {
  std::lock_guard lock(mutex_);
  max_entries_ = std::max<size_t>(1, entries);
  max_bytes_ = bytes;
  evict();
}

void PlanCache::clear() {
  std::lock_guard lock(mutex_);
  by_hash_.clear();
  templates_.clear();
  lru_.clear();
  stats_ = {};
}

void PlanCache::set_optimizer(GraphOptimizer optimizer) {
  clear();
  std::lock_guard lock(mutex_);
  optimizer_ = std::move(optimizer);
}

GraphOptimizer PlanCache::current_optimizer() const {
  std::lock_guard lock(mutex_);
  return optimizer_;
}

void set_optimizer(GraphOptimizer optimizer) { PlanCache::global().set_optimizer(std::move(optimizer)); }
PlanCacheStats plan_cache_stats() { return PlanCache::global().stats(); }
void set_plan_cache_limits(size_t entries, size_t bytes) { PlanCache::global().set_limits(entries, bytes); }
void clear_plan_cache() { PlanCache::global().clear(); }

}  // namespace lazuli
