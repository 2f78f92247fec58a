#include <array>
#include <atomic>

#include "backend/backend.h"
#include "backend/cuda/runtime.h"
#include "lazuli/error.h"

namespace lazuli {

namespace {

DeviceError not_there(Device device) { return DeviceError("device " + to_string(device) + " is not there"); }

const Backend& open_cpu(int index) {
  if (index != 0) throw not_there({DeviceKind::cpu, index});
  return cpu_backend();
}

const Backend& open_reference(int index) {
  if (index != 0) throw not_there({DeviceKind::reference, index});
  return reference_backend();
}

const Backend& open_cuda(int index) {
  cuda::Runtime::of(index);
  return cuda_backend();
}

std::atomic<OpenBackend>& opener(DeviceKind kind) {
  static std::array<std::atomic<OpenBackend>, kDeviceKinds> all = {open_cpu, open_reference, open_cuda, nullptr};
  return all[static_cast<size_t>(kind)];
}

}  // namespace

void register_backend(DeviceKind kind, OpenBackend open) { opener(kind).store(open); }

const Backend& backend_for(Device device) {
  const OpenBackend open = opener(device.kind).load(std::memory_order_relaxed);
  if (open == nullptr) throw not_there(device);
  return open(device.index);
}

}  // namespace lazuli
