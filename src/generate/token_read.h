// Defines TokenRead, the tokens of a run on their way from where they were chosen to the host.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "lazuli/tensor.h"

namespace lazuli {

/// Does not wait before `wait`, and then for nothing that was submitted later.
class TokenRead {
 public:
  /// Of all elements of a contiguous i32.
  explicit TokenRead(const Tensor& tokens);
  TokenRead(TokenRead&& o) noexcept : device_(o.device_), values_(std::move(o.values_)), read_(std::exchange(o.read_, nullptr)) {}
  TokenRead(const TokenRead&) = delete;
  TokenRead& operator=(const TokenRead&) = delete;
  TokenRead& operator=(TokenRead&&) = delete;
  /// Drops what was not waited for.
  ~TokenRead();
  /// The tokens. Throws what went wrong on the device before.
  const std::vector<int32_t>& wait();

 private:
  Device device_;
  std::vector<int32_t> values_;
  void* read_ = nullptr;
};

}  // namespace lazuli
