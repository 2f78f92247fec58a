#include "plan/lanes.h"

#include <algorithm>

namespace lazuli {

/// Makes `at` a border between stretches.
void Lanes::cut(Stretches& space, int64_t at) {
  auto it = space.upper_bound(at);
  if (it == space.begin()) return;
  --it;
  if (it->first == at || it->second.end <= at) return;
  Stretch right = it->second;
  it->second.end = at;
  space.emplace_hint(std::next(it), at, std::move(right));
}

void Lanes::follow(int32_t step) {
  if (step >= 0) wanted_.push_back(step);
}

void Lanes::read(Stretches& space, const Use& use) {
  const auto self = static_cast<int32_t>(lane_of_.size());
  cut(space, use.begin);
  cut(space, use.end);
  int64_t at = use.begin;
  for (auto it = space.lower_bound(use.begin); at < use.end; ++it) {
    // Memory that nobody used before gets a stretch too: a later writer has to wait for this reader.
    if (it == space.end() || it->first > at) {
      const int64_t end = it == space.end() ? use.end : std::min(use.end, it->first);
      it = space.emplace_hint(it, at, Stretch{end, -1, {}});
    }
    follow(it->second.writer);
    it->second.readers.push_back(self);
    at = it->second.end;
  }
}

void Lanes::write(Stretches& space, const Use& use) {
  const auto self = static_cast<int32_t>(lane_of_.size());
  cut(space, use.begin);
  cut(space, use.end);
  const auto first = space.lower_bound(use.begin), last = space.lower_bound(use.end);
  for (auto it = first; it != last; ++it) {
    follow(it->second.writer);
    for (const int32_t reader : it->second.readers) {
      if (reader != self) follow(reader);
    }
  }
  space.erase(first, last);
  space.emplace(use.begin, Stretch{use.end, self, {}});
}

/// The one whose last step began the longest ago.
int Lanes::free_lane() const { return static_cast<int>(std::min_element(last_.begin(), last_.end()) - last_.begin()); }

Lanes::Choice Lanes::next(std::span<const Use> uses) {
  wanted_.clear();
  for (const bool written : {false, true}) {
    for (const Use& use : uses) {
      if (use.written != written || use.begin >= use.end) continue;
      Stretches& space = spaces_[use.space];
      written ? write(space, use) : read(space, use);
    }
  }
  std::sort(wanted_.begin(), wanted_.end(), std::greater<>());
  wanted_.erase(std::unique(wanted_.begin(), wanted_.end()), wanted_.end());
  const auto self = static_cast<int32_t>(lane_of_.size());
  wanted_.erase(std::remove(wanted_.begin(), wanted_.end(), self), wanted_.end());
  Choice choice;
  // Behind the latest step it has to wait for, where nothing came in between.
  const auto tail = std::find_if(wanted_.begin(), wanted_.end(), [&](int32_t step) {
    const auto lane = static_cast<size_t>(lane_of_[static_cast<size_t>(step)]);
    return last_[lane] == step;
  });
  choice.lane = tail != wanted_.end() ? lane_of_[static_cast<size_t>(*tail)] : free_lane();
  Reach reach = nothing();
  const auto add = [&](int32_t step) {
    if (step < 0 || reach[static_cast<size_t>(lane_of_[static_cast<size_t>(step)])] >= step) return;
    choice.after.push_back(step);
    const Reach& known = reach_[static_cast<size_t>(step)];
    for (size_t k = 0; k < reach.size(); ++k) reach[k] = std::max(reach[k], known[k]);
  };
  // From the latest on: what a later one follows needs no mention.
  const int32_t before = last_[static_cast<size_t>(choice.lane)];
  wanted_.insert(std::upper_bound(wanted_.begin(), wanted_.end(), before, std::greater<>()), before);
  for (const int32_t step : wanted_) add(step);
  reach[static_cast<size_t>(choice.lane)] = self;
  last_[static_cast<size_t>(choice.lane)] = self;
  lane_of_.push_back(choice.lane);
  reach_.push_back(reach);
  return choice;
}

}  // namespace lazuli
