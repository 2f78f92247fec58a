// Defines load_tensor, which brings host data to where it is used, in the dtype in which it is used.
#pragma once

#include "lazuli/tensor.h"

namespace lazuli {

/// `from`, on the host, as `dtype` on `device`: itself if it is that already. Data for a device is converted piece by piece on its way, and
/// pages of a mapped file are asked for ahead of the copy.
Tensor load_tensor(const Tensor& from, DType dtype, Device device);

/// Row-major elements from one dtype to another, by the rules of Tensor::to.
void convert_elements(DType to, void* out, DType from, const void* in, int64_t count);

}  // namespace lazuli
