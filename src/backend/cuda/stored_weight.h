// Declares the launch that makes the numbers of a stored weight.
#pragma once

#include "backend/cuda/launch.h"
#include "lazuli/quant_format.h"

namespace lazuli::cuda {

/// The numbers (rows, columns) of a weight in `dtype`, row-major, from its parts: those operands of the request, whose attributes and
/// results are not looked at. The kernel's text is made from the format's entry in the table.
Launch stored_weight_launch(const KernelRequest& parts, const QuantFormat& format, DType dtype, int64_t count, int64_t columns);

}  // namespace lazuli::cuda
