#include "exec/executor.h"

#include <chrono>
#include <map>
#include <mutex>
#include <utility>

#include "base/spin.h"

namespace lazuli {

namespace {

/// How long an idle executor looks for work before it sleeps: longer than the gap between two submissions of a loop, short enough not to
/// matter to others.
constexpr auto kSpin = std::chrono::microseconds(200);

struct Marker final : Job {
  void run() override {
    done.store(true, std::memory_order_release);
    done.notify_all();
  }
  std::atomic<bool> done{false};
};

}  // namespace

Executor::Executor() {
  ring_.resize(64);
  // Detached: it must outlive static objects whose destruction may still wait for results.
  std::thread thread([this] { work(); });
  id_ = thread.get_id();
  thread.detach();
}

Executor& Executor::of(Device device) {
  static Executor* const cpu = new Executor;
  if (device.kind == DeviceKind::cpu) return *cpu;
  static std::mutex mutex;
  static auto* const others = new std::map<std::pair<DeviceKind, int>, Executor*>;
  const std::lock_guard lock(mutex);
  Executor*& executor = (*others)[{device.kind, device.index}];
  if (executor == nullptr) executor = new Executor;
  return *executor;
}

void Executor::lock() {
  while (locked_.exchange(true, std::memory_order_acquire)) relax();
}

void Executor::wake() {
  if (asleep_.load(std::memory_order_seq_cst)) pending_.notify_one();
}

void Executor::submit(Job* job) {
  unfinished_.fetch_add(1, std::memory_order_relaxed);
  lock();
  if (size_ == ring_.size()) {
    std::vector<Job*> bigger(ring_.size() * 2);
    for (size_t k = 0; k < size_; ++k) bigger[k] = ring_[(head_ + k) % ring_.size()];
    ring_.swap(bigger);
    head_ = 0;
  }
  ring_[(head_ + size_++) % ring_.size()] = job;
  job->queued();
  unlock();
  pending_.fetch_add(1, std::memory_order_seq_cst);
  wake();
}

Job* Executor::take() {
  lock();
  Job* job = ring_[head_];
  head_ = (head_ + 1) % ring_.size();
  --size_;
  unlock();
  pending_.fetch_sub(1, std::memory_order_relaxed);
  return job;
}

void Executor::run_next() {
  take()->run();
  unfinished_.fetch_sub(1, std::memory_order_release);
}

void Executor::work() {
  for (;;) {
    while (!spin_until([this] { return pending_.load(std::memory_order_acquire) != 0; }, kSpin)) {
      asleep_.store(true, std::memory_order_seq_cst);
      pending_.wait(0, std::memory_order_seq_cst);
      asleep_.store(false, std::memory_order_relaxed);
    }
    run_next();
  }
}

bool Executor::help() {
  if (pending_.load(std::memory_order_acquire) == 0) return false;
  run_next();
  return true;
}

void Executor::synchronize() {
  if (on_own_thread()) return;
  Marker marker;
  submit(&marker);
  marker.done.wait(false, std::memory_order_acquire);
}

}  // namespace lazuli
