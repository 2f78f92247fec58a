// Declares the flag that Ctrl-C sets, for loops that end in order.
#pragma once

namespace lazuli {

/// Catches SIGINT and SIGTERM while it lives: the first one sets the flag, a second one ends the process at once. Not nested.
class InterruptGuard {
 public:
  InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  ~InterruptGuard();
};

/// True once a signal came in the life of the present guard.
bool interrupted();

}  // namespace lazuli
