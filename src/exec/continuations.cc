#include "exec/continuations.h"

#include <atomic>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace lazuli {

namespace {

/// The counter lets a publisher skip the lock when nobody waits.
struct Continuations {
  std::atomic<int> count{0};
  std::mutex mutex;
  std::unordered_multimap<const Node*, std::coroutine_handle<>> waiting;
};
Continuations& continuations() {
  static auto* const c = new Continuations;
  return *c;
}

}  // namespace

bool await_node(const Node* node, std::coroutine_handle<> handle) {
  Continuations& c = continuations();
  std::lock_guard lock(c.mutex);
  c.count.fetch_add(1, std::memory_order_seq_cst);
  if (node->state() >= NodeState::ready) {
    c.count.fetch_sub(1);
    return false;
  }
  c.waiting.emplace(node, handle);
  return true;
}

void resume_waiters(const Node* node) {
  Continuations& c = continuations();
  if (c.count.load(std::memory_order_seq_cst) == 0) return;
  std::vector<std::coroutine_handle<>> ready;
  {
    std::lock_guard lock(c.mutex);
    auto [begin, end] = c.waiting.equal_range(node);
    for (auto it = begin; it != end; ++it) ready.push_back(it->second);
    c.waiting.erase(begin, end);
    c.count.fetch_sub(static_cast<int>(ready.size()));
  }
  for (auto handle : ready) handle.resume();
}

}  // namespace lazuli
