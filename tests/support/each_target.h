// Defines a loop over the vector targets that kernels are compiled for.
#pragma once

#include <functional>
#include <string>

#include "hwy/targets.h"

namespace lazuli {

/// Runs `body` with each target in turn as the one that kernels prepared meanwhile use; skips what the machine lacks.
inline void on_every_target(const std::function<void(const std::string& target)>& body) {
  constexpr int64_t kPortable = HWY_EMU128 | HWY_SCALAR;
  for (int64_t target : {int64_t{HWY_AVX3}, int64_t{HWY_AVX2}, kPortable}) {
    if (target != kPortable && (hwy::SupportedTargets() & target) == 0) continue;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    body(target == kPortable ? "portable" : hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
}

}  // namespace lazuli
