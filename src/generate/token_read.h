// Defines TokenRead, a token on its way from where it was chosen to the host.
#pragma once

#include <cstdint>
#include <utility>

#include "lazuli/tensor.h"

namespace lazuli {

/// Does not wait before `wait`, and then for nothing that was submitted later.
class TokenRead {
 public:
  /// Of an i32 of one element.
  explicit TokenRead(const Tensor& token);
  TokenRead(TokenRead&& o) noexcept : device_(o.device_), value_(o.value_), read_(std::exchange(o.read_, nullptr)) {}
  TokenRead(const TokenRead&) = delete;
  TokenRead& operator=(const TokenRead&) = delete;
  TokenRead& operator=(TokenRead&&) = delete;
  /// Drops what was not waited for.
  ~TokenRead();
  /// The token. Throws what went wrong on the device before.
  int32_t wait();

 private:
  Device device_;
  int32_t value_ = 0;
  void* read_ = nullptr;
};

}  // namespace lazuli
