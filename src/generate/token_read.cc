#include "generate/token_read.h"

#include <algorithm>

#include "tensor/device_memory.h"

namespace lazuli {

TokenRead::TokenRead(const Tensor& tokens) : device_(tokens.device()), values_(static_cast<size_t>(tokens.shape().numel())) {
  if (on_host(device_)) {
    std::copy_n(tokens.data<int32_t>().begin(), values_.size(), values_.begin());
  } else {
    read_ = DeviceMemory::of(device_).begin_read(tokens.raw(), values_.size() * sizeof(int32_t));
  }
}

TokenRead::~TokenRead() {
  if (read_ != nullptr) DeviceMemory::of(device_).end_read(read_, nullptr);
}

const std::vector<int32_t>& TokenRead::wait() {
  if (void* read = std::exchange(read_, nullptr)) DeviceMemory::of(device_).end_read(read, values_.data());
  return values_;
}

}  // namespace lazuli
