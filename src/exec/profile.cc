#include "exec/profile.h"

#include <algorithm>
#include <map>
#include <mutex>

namespace lazuli::profile {

std::atomic<bool> enabled{false};

namespace {

std::mutex mutex;
std::map<std::string, KernelCost>& costs() {
  static std::map<std::string, KernelCost> all;
  return all;
}

}  // namespace

void start() {
  const std::lock_guard lock(mutex);
  costs().clear();
  enabled.store(true);
}

std::vector<KernelCost> stop() {
  const std::lock_guard lock(mutex);
  enabled.store(false);
  std::vector<KernelCost> all;
  for (auto& [what, cost] : costs()) all.push_back(std::move(cost));
  costs().clear();
  std::stable_sort(all.begin(), all.end(), [](const KernelCost& a, const KernelCost& b) { return a.seconds > b.seconds; });
  return all;
}

void note(std::span<const Step> wave, uint64_t nanoseconds) {
  double expected = 0;
  for (const Step& step : wave) expected += step.cost_ns;
  const std::lock_guard lock(mutex);
  for (const Step& step : wave) {
    KernelCost& cost = costs()[step.description];
    cost.kernel = step.prepared.name;
    cost.what = step.description;
    ++cost.calls;
    const double share = expected > 0 ? step.cost_ns / expected : 1.0 / static_cast<double>(wave.size());
    cost.seconds += share * static_cast<double>(nanoseconds) * 1e-9;
    cost.bytes += step.prepared.bytes;
    cost.flops += step.prepared.flops;
  }
}

}  // namespace lazuli::profile
