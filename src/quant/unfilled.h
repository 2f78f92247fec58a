// Declares unfilled_weight, the memory of a rounded weight.
#pragma once

#include <cstdint>

#include "lazuli/quantize.h"

namespace lazuli::quant {

/// A weight (rows, columns) of 8 or 4 bits whose numbers and scales nobody has written. 4 bits: columns come in groups of kGroup.
QuantizedWeight unfilled_weight(int64_t rows, int64_t columns, int bits);

}  // namespace lazuli::quant
