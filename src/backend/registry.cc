#include "backend/backend.h"
#include "backend/cuda/runtime.h"
#include "lazuli/error.h"

namespace lazuli {

const Backend& backend_for(Device device) {
  if (device.kind == DeviceKind::cpu && device.index == 0) return cpu_backend();
  if (device.kind == DeviceKind::reference && device.index == 0) return reference_backend();
  if (device.kind == DeviceKind::cuda) {
    cuda::Runtime::of(device.index);
    return cuda_backend();
  }
  throw DeviceError("device " + to_string(device) + " is not there");
}

}  // namespace lazuli
