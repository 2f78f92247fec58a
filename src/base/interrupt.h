// Declares the flag that Ctrl-C sets, for loops that end in order.
#pragma once

namespace lazuli {

/// Catches SIGINT, SIGTERM and SIGHUP while it lives: the first one sets the flag, a second SIGINT or SIGTERM ends the process at once. A
/// SIGHUP that was ignored before, as below nohup, stays so. Not nested.
class InterruptGuard {
 public:
  InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  ~InterruptGuard();
};

/// True once a signal came in the life of the present guard.
bool interrupted();

/// What a program that such a signal ended returns, 128 plus its number: of the last signal that a guard caught; SIGINT's before any.
int interrupt_exit_code();

}  // namespace lazuli
