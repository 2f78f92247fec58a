#include "generate/token_read.h"

#include "tensor/device_memory.h"

namespace lazuli {

TokenRead::TokenRead(const Tensor& token) : device_(token.device()) {
  if (on_host(device_)) {
    value_ = token.data<int32_t>()[0];
  } else {
    read_ = DeviceMemory::of(device_).begin_read(token.raw(), sizeof value_);
  }
}

TokenRead::~TokenRead() {
  if (read_ != nullptr) DeviceMemory::of(device_).end_read(read_, nullptr);
}

int32_t TokenRead::wait() {
  if (void* read = std::exchange(read_, nullptr)) DeviceMemory::of(device_).end_read(read, &value_);
  return value_;
}

}  // namespace lazuli
