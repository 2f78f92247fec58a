#include "tensor/device_memory.h"

#include <atomic>

#include "lazuli/error.h"

namespace lazuli {

namespace {

std::atomic<DeviceMemory::Open>& cuda_opener() {
  static std::atomic<DeviceMemory::Open> open{nullptr};
  return open;
}

}  // namespace

void DeviceMemory::set_cuda(Open open) { cuda_opener().store(open); }

DeviceMemory& DeviceMemory::of(Device device) {
  const Open open = cuda_opener().load();
  if (on_host(device) || open == nullptr) throw DeviceError("device " + to_string(device) + " has no memory of its own");
  return open(device.index);
}

}  // namespace lazuli
