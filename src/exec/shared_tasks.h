// Defines SharedTasks: the numbered tasks of one parallel region, dealt out to its threads.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>

namespace lazuli {

/// Every thread begins with a run of neighbouring tasks, which share memory, and takes smaller and smaller parts from its front; one that
/// has no more takes from the end of another one's. What tasks compute must not depend on who does them.
class SharedTasks {
 public:
  struct Range {
    int64_t begin, end;
  };

  /// Tasks 0 to total - 1; at most 2^31 of them.
  SharedTasks(int64_t total, int threads) : lots_(std::min(threads, kMost)) {
    for (int k = 0; k < lots_; ++k)
      lot_[static_cast<size_t>(k)].range.store(pack(total * k / lots_, total * (k + 1) / lots_), std::memory_order_relaxed);
  }

  /// The next tasks for a thread; an empty range when there are none left.
  Range take(int thread) {
    const int own = thread % lots_;
    if (const Range r = take_from(own, true); r.begin < r.end) return r;
    for (int k = 1; k < lots_; ++k) {
      if (const Range r = take_from((own + k) % lots_, false); r.begin < r.end) return r;
    }
    return {0, 0};
  }

 private:
  // Further threads share the lots of these.
  static constexpr int kMost = 32;
  struct alignas(64) Lot {
    std::atomic<uint64_t> range{0};
  };

  static uint64_t pack(int64_t begin, int64_t end) { return static_cast<uint64_t>(begin) << 32 | static_cast<uint64_t>(end); }
  static Range unpack(uint64_t bits) { return {static_cast<int64_t>(bits >> 32), static_cast<int64_t>(bits & 0xffffffffu)}; }

  Range take_from(int lot, bool front) {
    std::atomic<uint64_t>& range = lot_[static_cast<size_t>(lot)].range;
    uint64_t seen = range.load(std::memory_order_relaxed);
    for (;;) {
      const Range r = unpack(seen);
      const int64_t left = r.end - r.begin;
      if (left <= 0) return {0, 0};
      const int64_t n = std::max<int64_t>(left / 4, 1);
      const Range taken = front ? Range{r.begin, r.begin + n} : Range{r.end - n, r.end};
      const Range rest = front ? Range{r.begin + n, r.end} : Range{r.begin, r.end - n};
      if (range.compare_exchange_weak(seen, pack(rest.begin, rest.end), std::memory_order_relaxed)) return taken;
    }
  }

  int lots_;
  std::array<Lot, kMost> lot_;
};

}  // namespace lazuli
