// Defines the inline conversions between float and IEEE binary16 bits, so that loops over them can be vectorised.
#pragma once

#include <bit>
#include <cstdint>

namespace lazuli {

/// Rounds to nearest even; values of 65520 and more become infinity, NaN stays NaN.
inline uint16_t f16_bits_from_float(float v) {
  const auto u = std::bit_cast<uint32_t>(v);
  const uint32_t sign = (u >> 16) & 0x8000u;
  const uint32_t magnitude = u & 0x7fffffffu;
  uint32_t bits = 0;
  if (magnitude > 0x7f800000u) {
    bits = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
  } else if (magnitude >= 0x477ff000u) {
    bits = 0x7c00u;
  } else if (magnitude < 0x38800000u) {
    // Below the smallest normal f16: the spacing of floats at 0.5 is 2^-24, the spacing of f16 subnormals, so the
    // addition rounds correctly.
    bits = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
  } else {
    bits = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  }
  return static_cast<uint16_t>(sign | bits);
}

/// Exact.
inline float f16_bits_to_float(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16;
  const uint32_t exponent = h & 0x7c00u;
  const uint32_t shifted = static_cast<uint32_t>(h & 0x7fffu) << 13;
  uint32_t bits = 0;
  if (exponent == 0x7c00u) {
    bits = shifted + 0x70000000u;
  } else if (exponent == 0) {
    bits = std::bit_cast<uint32_t>(static_cast<float>(h & 0x3ffu) * 0x1p-24f);
  } else {
    bits = shifted + 0x38000000u;
  }
  return std::bit_cast<float>(sign | bits);
}

}  // namespace lazuli
