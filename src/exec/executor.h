// Defines Executor, the one thread of a device that runs jobs in the order they were submitted.
#pragma once

#include <atomic>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "exec/team.h"
#include "lazuli/tensor.h"

namespace lazuli {

/// Work for an executor's thread. `run` must not throw.
class Job {
 public:
  virtual void run() = 0;
  /// Called when the job has its place in the queue, before it can be taken and before another job gets a place behind it. Must be short.
  virtual void queued() {}

 protected:
  ~Job() = default;
};

/// A device's runs come one after the other: each takes its turn, and has the device's team for as long.
class Executor {
 public:
  Executor();
  /// Hands over a job; returns at once. Jobs run one after the other.
  void submit(Job* job);
  /// Returns when all jobs submitted before are done.
  void synchronize();
  /// Runs the oldest waiting job, if any; only on the executor's own thread (a job that waits for a later one).
  bool help();
  /// Held by whoever executes a plan, for as long as its kernels run and no longer: nothing that may wait for another run happens under it.
  std::mutex& turn() { return turn_; }
  /// The turn, taken, where no job waits or runs and nobody else has it; else a lock without it.
  std::unique_lock<std::mutex> free_turn() {
    if (unfinished_.load(std::memory_order_acquire) != 0) return {};
    return {turn_, std::try_to_lock};
  }
  /// For the one whose turn it is.
  Team& team() { return team_; }
  bool on_own_thread() const { return std::this_thread::get_id() == id_; }

  /// The executor of a device (backends on the host have one each).
  static Executor& of(Device device);

 private:
  void work();
  Job* take();
  void run_next();
  void lock();
  void unlock() { locked_.store(false, std::memory_order_release); }
  void wake();

  std::atomic<bool> locked_{false};
  std::vector<Job*> ring_;
  size_t head_ = 0, size_ = 0;
  std::atomic<uint32_t> pending_{0};     ///< jobs submitted and not taken; the thread sleeps on it
  std::atomic<uint32_t> unfinished_{0};  ///< jobs submitted and not done
  std::atomic<bool> asleep_{false};
  std::mutex turn_;
  Team team_;
  std::thread::id id_;
};

}  // namespace lazuli
