// Declares what backends know about this machine, for the commands that show it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lazuli {

/// What kernels of the CPU run with.
struct CpuKernels {
  std::string target;                ///< instruction set in use, as Highway calls it
  std::vector<std::string> targets;  ///< all that this processor has, the best one first
  bool matrix_unit = false;          ///< there is one, and the system lets the process use it
  std::string onednn_isa;
  std::string profile;  ///< where a profile of this machine's numbers is looked for; empty: nowhere
};
CpuKernels cpu_kernels();

/// What the CPU can do at most.
struct MachineLimits {
  double bytes_per_second = 0;  ///< read from memory that no cache holds, all threads together
  double flops_per_second = 0;  ///< f32 multiplications and additions in registers, all threads together
};
/// Measures for about a third of a second with that many threads; takes 64 MiB for each.
MachineLimits measure_limits(int threads);

/// Rows that products multiply with a weight before its panels are kept (keep_packed).
int64_t rows_before_panels_are_kept();

/// Devices that can be opened now; 0 with the reason in `problem` when there is none.
int cuda_device_count(std::string* problem);
struct CudaCard {
  std::string name;
  int major = 0, minor = 0;  ///< compute capability
  uint64_t free_bytes = 0, memory_bytes = 0;
  int driver_version = 0;  ///< the newest CUDA that the driver serves, 1000 * major + 10 * minor
};
/// Of an open device. Nothing where the driver does not say.
std::optional<CudaCard> cuda_card(int index);

}  // namespace lazuli
