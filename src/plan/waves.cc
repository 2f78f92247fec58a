#include "plan/waves.h"

#include <algorithm>

namespace lazuli {

void WaveOrder::put(int32_t step, bool new_wave) {
  if (new_wave || in_wave_ == kMostInWave) {
    ++wave_;
    in_wave_ = 0;
  }
  ++in_wave_;
  order_.push_back(step);
  waves_.push_back(wave_);
}

/// Runs what waits in levels below that one, a wave for each level. What nobody needs yet rides along, which keeps its operands alive
/// shorter.
void WaveOrder::release(int32_t levels_below) {
  if (levels_below <= released_) return;
  const auto level = [this](int32_t step) { return level_[static_cast<size_t>(step)]; };
  const auto stays = std::stable_partition(waiting_.begin(), waiting_.end(), [&](int32_t step) { return level(step) < levels_below; });
  std::stable_sort(waiting_.begin(), stays, [&](int32_t a, int32_t b) { return level(a) < level(b); });
  int32_t last = -1;
  for (auto it = waiting_.begin(); it != stays; ++it) {
    put(*it, level(*it) != last);
    last = level(*it);
  }
  released_ = stays == waiting_.end() ? std::max(released_, last + 1) : levels_below;
  waiting_.erase(waiting_.begin(), stays);
  if (waiting_.empty()) held_ = 0;
}

void WaveOrder::add(std::span<const int32_t> after, bool small, int64_t bytes) {
  const int32_t self = next_++;
  int32_t ready = released_;
  for (const int32_t step : after) ready = std::max(ready, level_[static_cast<size_t>(step)] + 1);
  if (!small) {
    release(ready);
    put(self, true);
    return;
  }
  if (!waiting_.empty() && (held_ + bytes > budget_ || waiting_.size() == kMostWaiting)) {
    release(INT32_MAX);
    ready = released_;
  }
  held_ += bytes;
  level_[static_cast<size_t>(self)] = ready;
  waiting_.push_back(self);
}

}  // namespace lazuli
