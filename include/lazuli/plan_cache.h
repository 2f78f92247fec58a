// Declares the plan cache's limits and counters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace lazuli {

/// Counters since the start or the last `clear_plan_cache`, and what is kept now.
struct PlanCacheStats {
  uint64_t hits = 0;             ///< runs that found their plan
  uint64_t misses = 0;           ///< runs that did not
  uint64_t specialisations = 0;  ///< misses that found the structure and only had to be fitted to other sizes
  uint64_t evictions = 0;        ///< plans dropped for lack of room
  size_t entries = 0;            ///< plans kept
  size_t bytes = 0;              ///< that they take
  std::string last_miss;         ///< which dimension or attribute made the last miss, in words
};
/// The counters now.
PlanCacheStats plan_cache_stats();
/// Bounds the cache; the least recently used plans go first. At least one entry is kept.
void set_plan_cache_limits(size_t entries, size_t bytes);
class GraphOptimizer;
/// Which passes new plans go through (default: GraphOptimizer::standard()). Drops all cached plans.
void set_optimizer(GraphOptimizer optimizer);
/// Drops all plans and sets the counters to 0.
void clear_plan_cache();

}  // namespace lazuli
