// Defines WaveOrder, which moves small steps so that they can run side by side.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lazuli {

/// Steps are given in an order that is known to work; a small one waits until a later step needs it, and then runs beside all that waited.
class WaveOrder {
 public:
  /// Steps of one wave, at most.
  static constexpr int kMostInWave = 64;

  /// What waits may take `budget` bytes more than it would have.
  WaveOrder(size_t steps, int64_t budget) : level_(steps, -1), budget_(budget) {}

  /// The next step in the given order, numbered from 0. `after`: earlier steps that it follows. `small`: it may run beside others; waiting
  /// and running beside others, it keeps at most `bytes` more alive.
  void add(std::span<const int32_t> after, bool small, int64_t bytes);
  /// After the last step.
  void finish() { release(INT32_MAX); }

  /// Steps in the order of their waves, each wave's in the given order.
  const std::vector<int32_t>& order() const { return order_; }
  /// The wave of order()[k].
  const std::vector<int32_t>& waves() const { return waves_; }
  int32_t wave_count() const { return wave_ + 1; }

 private:
  /// So many may wait that looking through them stays cheap.
  static constexpr size_t kMostWaiting = 256;

  void release(int32_t levels_below);
  void put(int32_t step, bool new_wave);

  std::vector<int32_t> level_;    ///< by step; of those that wait at least released_, of the others less
  std::vector<int32_t> waiting_;  ///< in the given order
  std::vector<int32_t> order_, waves_;
  int32_t released_ = 0;  ///< all levels below
  int32_t next_ = 0;
  int32_t wave_ = -1, in_wave_ = 0;
  int64_t budget_, held_ = 0;
};

}  // namespace lazuli
