#include "backend/cuda/runtime.h"
#include "backend/machine.h"

namespace lazuli {

int cuda_device_count(std::string* problem) { return cuda::device_count(problem); }

std::optional<CudaCard> cuda_card(int index) {
  LzDeviceInfo info{};
  if (cuda::library().api->device_info(index, &info) != LZ_OK) return std::nullopt;
  return CudaCard{info.name, info.major, info.minor, info.free_bytes, info.memory_bytes, info.driver_version};
}

}  // namespace lazuli
