#include "base/interrupt.h"

#include <array>
#include <atomic>
#include <csignal>

namespace lazuli {
namespace {

std::atomic<bool> flag{false};
std::atomic<int> last_signal{SIGINT};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free,
              "a signal handler may only touch lock-free atomics");

struct Caught {
  int signal;
  /// Whether the default action returns after the first, so that a second one ends a program that does not come to its check. A terminal
  /// that is closed sends SIGHUP more than once: itself and by its shell.
  bool second_ends;
  struct sigaction old;
};
std::array<Caught, 3> caught = {{{SIGINT, true, {}}, {SIGTERM, true, {}}, {SIGHUP, false, {}}}};

void on_signal(int signal) {
  last_signal.store(signal, std::memory_order_relaxed);
  flag.store(true, std::memory_order_relaxed);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  flag.store(false, std::memory_order_relaxed);
  for (Caught& c : caught) {
    struct sigaction action = {};
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    action.sa_flags = static_cast<int>(c.second_ends ? SA_RESETHAND | SA_RESTART : SA_RESTART);
    sigaction(c.signal, nullptr, &c.old);
    if (c.signal == SIGHUP && c.old.sa_handler == SIG_IGN) continue;
    sigaction(c.signal, &action, nullptr);
  }
}

InterruptGuard::~InterruptGuard() {
  for (const Caught& c : caught) sigaction(c.signal, &c.old, nullptr);
  flag.store(false, std::memory_order_relaxed);
}

bool interrupted() { return flag.load(std::memory_order_relaxed); }
int interrupt_exit_code() { return 128 + last_signal.load(std::memory_order_relaxed); }

}  // namespace lazuli
