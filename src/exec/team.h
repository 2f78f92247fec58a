// Defines Team, the threads that share the work of a device's runs, and how many of them there may be.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>

namespace lazuli {

/// Threads that a run may use, the one that executes it included. Default: the processors this process may run on.
int thread_count();
/// Throws ValueError unless 1 <= n <= 1024. Takes effect at the next run.
void set_thread_count(int n);

/// Threads that run one function together with whoever asks for it. They are started when they are first needed, look out for work while a
/// run lasts and a little longer, so that the next region costs them a microsecond, and then sleep. Used by one thread at a time, and never
/// destroyed: its threads outlive static objects.
class Team {
 public:
  using Body = void (*)(void* context, int thread);

  Team() = default;
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  /// A run of regions begins: those who sleep are woken while the caller is still busy with other things.
  void attend(int threads);
  /// Calls body(context, 0) on this thread and body(context, k) on those of the others, 0 < k < threads, that come before that one call has
  /// returned; returns when all who came are done. So the body must leave nothing undone for somebody who does not come: a thread that the
  /// system gives no processor holds nobody up. `body` must not throw.
  void run(int threads, Body body, void* context);

 private:
  void start(int helpers);
  void work(int thread, uint32_t seen);
  uint32_t announce(int threads);
  uint32_t await_other_than(uint32_t seen);

  // A region's number and its threads less one, in one word, on which helpers look and sleep.
  static constexpr int kThreadBits = 10;
  std::atomic<uint32_t> region_{0};
  // The same word (upper half), whether more threads may come in (kOpen), and how many helpers are inside.
  static constexpr uint64_t kOpen = uint64_t{1} << 31, kInside = kOpen - 1;
  alignas(64) std::atomic<uint64_t> door_{0};
  alignas(64) Body body_ = nullptr;
  void* context_ = nullptr;
  int helpers_ = 0;
  int most_helpers_ = std::numeric_limits<int>::max();  ///< fewer where the system starts no more threads
};

}  // namespace lazuli
