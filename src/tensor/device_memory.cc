#include "tensor/device_memory.h"

#include <array>
#include <atomic>

#include "lazuli/error.h"

namespace lazuli {

namespace {

std::atomic<DeviceMemory::Open>& opener(DeviceKind kind) {
  static std::array<std::atomic<DeviceMemory::Open>, kDeviceKinds> all{};
  return all[static_cast<size_t>(kind)];
}

}  // namespace

void DeviceMemory::set(DeviceKind kind, Open open) { opener(kind).store(open); }

DeviceMemory& DeviceMemory::of(Device device) {
  const Open open = opener(device.kind).load();
  if (open == nullptr) throw DeviceError("device " + to_string(device) + " has no memory of its own");
  return open(device.index);
}

}  // namespace lazuli
