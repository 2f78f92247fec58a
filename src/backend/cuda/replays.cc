#include "backend/cuda/replays.h"

#include <algorithm>

#include "backend/cuda/runtime.h"

namespace lazuli::cuda {

Replays::~Replays() {
  for (const Entry& e : entries_) {
    if (e.graph != nullptr) library().api->graph_destroy(e.graph);
  }
}

Replays::Entry* Replays::find(std::span<const uint64_t> addresses) {
  for (Entry& e : entries_) {
    if (std::equal(addresses.begin(), addresses.end(), e.addresses.begin(), e.addresses.end())) return &e;
  }
  return nullptr;
}

Replays::Advice Replays::advise(std::span<const uint64_t> addresses, void** graph) {
  const std::lock_guard lock(mutex_);
  ++clock_;
  if (Entry* known = find(addresses)) {
    known->last_use = clock_;
    *graph = known->graph;
    return known->graph != nullptr ? Advice::replay : Advice::record;
  }
  if (entries_.size() == kMost) {
    const auto oldest =
        std::min_element(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return a.last_use < b.last_use; });
    // A graph may still be running; the driver destroys it when it is done.
    if (oldest->graph != nullptr) library().api->graph_destroy(oldest->graph);
    entries_.erase(oldest);
  }
  entries_.push_back({{addresses.begin(), addresses.end()}, nullptr, clock_});
  return Advice::launch;
}

void Replays::keep(std::span<const uint64_t> addresses, void* graph) {
  const std::lock_guard lock(mutex_);
  Entry* known = find(addresses);
  if (known == nullptr || known->graph != nullptr) {
    library().api->graph_destroy(graph);  // another thread recorded the same, or the set is forgotten
    return;
  }
  known->graph = graph;
}

}  // namespace lazuli::cuda
