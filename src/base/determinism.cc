#include "lazuli/determinism.h"

#include <atomic>

namespace lazuli {

namespace {

std::atomic<bool> on_now{false};

}  // namespace

void set_deterministic(bool on) { on_now.store(on, std::memory_order_relaxed); }
bool deterministic() { return on_now.load(std::memory_order_relaxed); }

}  // namespace lazuli
