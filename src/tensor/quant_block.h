// Defines the reading of single numbers of a quantised weight's blocks. Where the format is a constant, so are all places in the block.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "lazuli/quant_format.h"
#include "tensor/half.h"

namespace lazuli::quant_block {

/// The bits of code e, from the byte where the codes begin.
constexpr int bits_at(const QuantBits& b, const uint8_t* bytes, int64_t e) {
  const int per_byte = 8 / b.bits, slot = static_cast<int>(e / b.run) % per_byte;
  const int64_t byte = e / (b.run * per_byte) * b.run + e % b.run;
  const int place = b.bits * (b.high_first ? per_byte - 1 - slot : slot);
  return (bytes[byte] >> place) & ((1 << b.bits) - 1);
}

/// Code e with its sign, without its offset.
constexpr int signed_code(const QuantFormat& f, int code) {
  const int sign = 1 << (f.bits() - 1);
  return f.is_signed ? (code ^ sign) - sign : code;
}

/// What code stands for before the scale.
constexpr float value_of(const QuantFormat& f, int code) {
  return f.codebook != nullptr ? f.codebook[code] : static_cast<float>(signed_code(f, code) - f.offset);
}

/// Code e of a block.
constexpr int code_at(const QuantFormat& f, const uint8_t* block, int64_t e) {
  const int low = bits_at(f.low, block + f.low.at, e);
  return f.high.bits == 0 ? low : low | bits_at(f.high, block + f.high.at, e) << f.low.bits;
}

/// Number `g` of the eight scales or minima of 6 bits in 12 bytes: four in the low bits of bytes 0 to 3 (minima: 4 to 7), four in halves of
/// bytes 8 to 11 and in the highest bits of the former.
constexpr int six_bits_at(const uint8_t* bytes, int g, bool minimum) {
  if (g < 4) return bytes[g + (minimum ? 4 : 0)] & 63;
  const int rest = bytes[g + 4];
  return (minimum ? rest >> 4 : rest & 15) | (bytes[g - (minimum ? 0 : 4)] >> 6) << 4;
}

/// 2^(e - 127); 255 is NaN.
inline float power_of_two(uint8_t e) {
  if (e == 255) return std::bit_cast<float>(0x7fc00000U);
  return std::bit_cast<float>(e == 0 ? 0x00400000U : static_cast<uint32_t>(e) << 23);
}

/// The scale or minimum of code e; 1 where the format has none.
inline float number_at(const QuantScale& s, const uint8_t* block, int64_t e) {
  switch (s.number) {
    case QuantNumber::real: {
      const uint8_t* at = block + s.at + e / s.group * 2;
      return f16_bits_to_float(static_cast<uint16_t>(at[0] | at[1] << 8));
    }
    case QuantNumber::exponent:
      return power_of_two(block[s.at + e / s.group]);
    case QuantNumber::byte:
      return static_cast<float>(static_cast<int8_t>(block[s.at + e / s.group]));
    case QuantNumber::six_bits:
    case QuantNumber::six_bits_minimum:
      return static_cast<float>(six_bits_at(block + s.at, static_cast<int>(e / s.group), s.number == QuantNumber::six_bits_minimum));
    case QuantNumber::none:
    case QuantNumber::code:
    case QuantNumber::table:
      break;
  }
  return 1;
}

/// The scale of code e, all levels of it.
inline float scale_at(const QuantFormat& f, const uint8_t* block, int64_t e) {
  const float scale = number_at(f.scale, block, e);
  return f.super_scale.number == QuantNumber::none ? scale : number_at(f.super_scale, block, e) * scale;
}

/// What is taken off code e after the scale, all levels of it; 0 where the format has no minima.
inline float minimum_at(const QuantFormat& f, const uint8_t* block, int64_t e) {
  if (f.zero != QuantZero::minimum) return 0;
  return number_at(f.super_minimum, block, e) * number_at(f.minimum, block, e);
}

/// Number e of a block.
inline float number_of(const QuantFormat& f, const uint8_t* block, int64_t e) {
  const float v = scale_at(f, block, e) * value_of(f, code_at(f, block, e));
  return f.zero == QuantZero::minimum ? v - minimum_at(f, block, e) : v;
}

}  // namespace lazuli::quant_block
