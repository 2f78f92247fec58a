#include "base/interrupt.h"

#include <atomic>
#include <csignal>

namespace lazuli {
namespace {

std::atomic<bool> flag{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may only touch lock-free atomics");

struct sigaction old_int, old_term;

void on_signal(int) { flag.store(true, std::memory_order_relaxed); }

}  // namespace

InterruptGuard::InterruptGuard() {
  flag.store(false, std::memory_order_relaxed);
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  // The default action returns after the first signal, so that a second one ends a program that does not come to its check.
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigaction(SIGINT, &action, &old_int);
  sigaction(SIGTERM, &action, &old_term);
}

InterruptGuard::~InterruptGuard() {
  sigaction(SIGINT, &old_int, nullptr);
  sigaction(SIGTERM, &old_term, nullptr);
  flag.store(false, std::memory_order_relaxed);
}

bool interrupted() { return flag.load(std::memory_order_relaxed); }

}  // namespace lazuli
