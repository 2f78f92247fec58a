// What the CPU backend knows about this machine.
#include "backend/machine.h"

#include "backend/cpu/common/limits.h"
#include "backend/cpu/common/targets.h"
#include "backend/cpu/common/tuning.h"
#include "backend/cpu/gemm/matrix_unit.h"
#include "backend/cpu/gemm/packed_weight.h"

namespace lazuli {

CpuKernels cpu_kernels() {
  return {cpu::target_in_use(), cpu::usable_targets(), cpu::has_matrix_unit(), cpu::onednn_isa(), cpu::profile_path()};
}

MachineLimits measure_limits(int threads) { return cpu::measure_limits(threads); }

int64_t rows_before_panels_are_kept() { return cpu::PackedWeight::kRowsBefore; }

}  // namespace lazuli
