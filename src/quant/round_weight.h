// Declares the rounding of a weight to integers, a part at a time.
#pragma once

#include <functional>

#include "backend/round_rows.h"
#include "lazuli/quantize.h"

namespace lazuli::quant {

/// As lazuli::quantize, some rows at a time; `done` gets those that will not be read again.
QuantizedWeight round_weight(const Tensor& weight, QuantFormatId format, const std::function<void(const Tensor& rows)>& done);

}  // namespace lazuli::quant
