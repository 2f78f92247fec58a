// Defines Lanes, which finds the steps of a plan that a device may run side by side.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "backend/plan.h"

namespace lazuli {

/// Steps in order of their lanes and `after` never touch what another one writes at the same time.
class Lanes {
 public:
  static constexpr int kCount = kLanes;

  /// Bytes [begin, end) of a space that a step reads or writes. Spaces never overlap one another.
  struct Use {
    int32_t space = 0;
    int64_t begin = 0;
    int64_t end = 0;
    bool written = false;
  };

  struct Choice {
    int lane = 0;
    /// Earlier steps that this one follows, besides all that these follow; the last one of the lane is among those it follows.
    std::vector<int32_t> after;
  };

  /// For the next step; steps are numbered from 0 in the order of the calls.
  Choice next(std::span<const Use> uses);

 private:
  /// Who used a stretch of memory since it was last written.
  struct Stretch {
    int64_t end = 0;
    int32_t writer = -1;
    std::vector<int32_t> readers;
  };
  using Stretches = std::map<int64_t, Stretch>;  ///< by begin; they do not overlap
  /// The last step of each lane that is done when a step is.
  using Reach = std::array<int32_t, kCount>;
  static constexpr Reach nothing() {
    Reach none{};
    none.fill(-1);
    return none;
  }

  void read(Stretches& space, const Use& use);
  void write(Stretches& space, const Use& use);
  void cut(Stretches& space, int64_t at);
  void follow(int32_t step);
  int free_lane() const;

  std::map<int32_t, Stretches> spaces_;
  std::vector<Reach> reach_;  ///< by step
  std::vector<int> lane_of_;  ///< by step
  Reach last_ = nothing();
  std::vector<int32_t> wanted_;  ///< steps that the present one has to follow
};

}  // namespace lazuli
