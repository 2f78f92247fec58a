// Defines a loop over the vector targets that kernels are compiled for.
#pragma once

#include <functional>
#include <string>

#include "backend/cpu/gemm/matrix_unit.h"
#include "hwy/targets.h"
#include "support/cpu_settings.h"

namespace lazuli {

/// Runs `body` with each target in turn as the one that kernels prepared meanwhile use; skips what the machine lacks. A target with a
/// matrix unit comes twice, with it and without.
inline void on_every_target(const std::function<void(const std::string& target)>& body) {
  constexpr int64_t kPortable = HWY_EMU128 | HWY_SCALAR;
  for (int64_t target : {int64_t{HWY_AVX3}, int64_t{HWY_AVX2}, kPortable}) {
    if (target != kPortable && (hwy::SupportedTargets() & target) == 0) continue;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    const std::string name = target == kPortable ? "portable" : hwy::TargetName(target);
    body(name);
    if (cpu::has_matrix_unit()) {
      const WithoutMatrixUnit off;
      body(name + " without matrix unit");
    }
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
}

}  // namespace lazuli
