// Defines Crew, threads that help a caller with work that can be done by several at once.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace lazuli::cuda_library {

/// Threads start when they are first needed and live as long as the process, so a crew is never destroyed. Thread-safe.
class Crew {
 public:
  explicit Crew(size_t most) : most_(most) {}
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  /// Calls `work` on this thread and on up to `helpers` others at the same time; returns when every call has. `work` must not throw and
  /// must do all there is to do even if nobody helps.
  void run(const std::function<void()>& work, size_t helpers) {
    const size_t wanted = std::min(helpers, most_);
    Task task{&work, wanted, 0};
    {
      const std::lock_guard lock(mutex_);
      while (members_ < wanted && start_member()) ++members_;
      if (wanted > 0) tasks_.push_back(&task);
    }
    for (size_t k = 0; k < wanted; ++k) wake_.notify_one();
    work();
    std::unique_lock lock(mutex_);
    forget(&task);
    ended_.wait(lock, [&] { return task.active == 0; });
  }

 private:
  struct Task {
    const std::function<void()>* work;
    size_t wanted;  ///< helpers that may still join
    size_t active;  ///< helpers at work
  };

  void forget(const Task* task) { tasks_.erase(std::remove(tasks_.begin(), tasks_.end(), task), tasks_.end()); }

  /// Fewer threads than wanted only make the work slower.
  bool start_member() {
    try {
      std::thread([this] { help_for_ever(); }).detach();
      return true;
    } catch (const std::system_error&) {
      return false;
    }
  }

  [[noreturn]] void help_for_ever() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return !tasks_.empty(); });
      Task* task = tasks_.front();
      ++task->active;
      if (--task->wanted == 0) forget(task);
      lock.unlock();
      (*task->work)();
      lock.lock();
      if (--task->active == 0) ended_.notify_all();
    }
  }

  const size_t most_;
  std::mutex mutex_;
  std::condition_variable wake_, ended_;
  size_t members_ = 0;
  std::vector<Task*> tasks_;  ///< those that want helpers
};

}  // namespace lazuli::cuda_library
