// Defines same_bytes, which compares what two tensors hold.
#pragma once

#include <cstring>

#include "lazuli/tensor.h"

namespace lazuli {

/// Both contiguous and on the host.
inline bool same_bytes(const Tensor& x, const Tensor& y) {
  return x.nbytes() == y.nbytes() && (x.nbytes() == 0 || std::memcmp(x.raw(), y.raw(), x.nbytes()) == 0);
}

}  // namespace lazuli
