// Declares unfilled_weight, the memory of a rounded weight.
#pragma once

#include <cstdint>

#include "lazuli/quantize.h"

namespace lazuli::quant {

/// A weight (rows, columns) whose parts nobody has written. Throws ShapeError where the columns do not divide into the format's blocks.
QuantizedWeight unfilled_weight(int64_t rows, int64_t columns, QuantFormatId format);

}  // namespace lazuli::quant
