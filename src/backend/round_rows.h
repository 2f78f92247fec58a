// Declares the rounding of rows of weights to integers, done by the CPU backend.
#pragma once

#include <cstdint>

#include "lazuli/dtype.h"

namespace lazuli::quant {

inline constexpr int64_t kGroup = 32;

/// n numbers to -127..127; returns the scale, which is NaN where a number is not finite.
float round_row8(const float* x, int64_t n, int8_t* values);
/// Groups of 32 to halves of bytes, 8 above the numbers -8..7; one scale each, which is not finite where a
/// number is not, or is too large for f16.
void round_row4(const float* x, int64_t n, uint8_t* values, f16* scales);

}  // namespace lazuli::quant
