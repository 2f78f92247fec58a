// Declares the plan cache's limits and counters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace lazuli {

/// Counters since the start or the last `clear_plan_cache`, and the current contents.
struct PlanCacheStats {
  uint64_t hits = 0;             ///< runs that found their plan
  uint64_t misses = 0;           ///< runs that did not find it
  uint64_t specialisations = 0;  ///< misses that found the structure and only needed a plan for other sizes
  uint64_t evictions = 0;        ///< plans dropped because of the limits
  size_t entries = 0;            ///< plans kept
  size_t bytes = 0;              ///< bytes of the plans kept
  std::string last_miss;         ///< which dimension or attribute caused the last miss, in words
};
/// Returns the current counters.
PlanCacheStats plan_cache_stats();
/// Limits the cache. The least recently used plans are evicted first. At least one entry is kept.
void set_plan_cache_limits(size_t entries, size_t bytes);
class GraphOptimizer;
/// Sets the passes for new plans (default: GraphOptimizer::standard()). Drops all cached plans.
void set_optimizer(GraphOptimizer optimizer);
/// Drops all plans and sets the counters to 0.
void clear_plan_cache();

}  // namespace lazuli
