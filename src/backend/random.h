// Defines the counter-based random numbers of every backend: element k of a draw depends only on the seed and k.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

#include "lazuli/dtype.h"

namespace lazuli {

/// Philox4x32-10 of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). The key is the 64-bit seed, the
/// counter the 64-bit `block` with zeros above.
inline std::array<uint32_t, 4> philox(uint64_t seed, uint64_t block) {
  std::array<uint32_t, 4> c = {static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), 0, 0};
  auto k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57u} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1), static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1,
         static_cast<uint32_t>(p0)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

/// The 32 bits behind element k of a uniform or normal draw and of dropout: lane k % 4 of block k / 4.
inline uint32_t random_word(uint64_t seed, uint64_t k) { return philox(seed, k / 4)[k % 4]; }

/// Element k of random_bits: two lanes, the lower one in the low half.
inline int64_t random_bits64(uint64_t seed, uint64_t k) {
  const auto lanes = philox(seed, k / 2);
  const size_t lane = 2 * (k % 2);
  return static_cast<int64_t>(uint64_t{lanes[lane]} | uint64_t{lanes[lane + 1]} << 32);
}

/// How many of a word's leading bits a uniform number of this dtype keeps: as many as it holds exactly, so that no number
/// rounds up to 1.
constexpr int uniform_bits(DType t) { return t == DType::bf16 ? 8 : t == DType::f16 ? 11 : 24; }

/// A word as a multiple of 2^-bits in [0, 1).
inline float uniform_from(uint32_t word, int bits = 24) {
  return static_cast<float>(word >> (32 - bits)) * std::bit_cast<float>(static_cast<uint32_t>(127 - bits) << 23);
}

/// Two independent normal numbers (elements 2j and 2j + 1) from their two words, by Box and Muller. The radius comes from
/// 1 - uniform, which is never 0.
inline std::array<double, 2> normal_from(uint32_t even_word, uint32_t odd_word) {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - static_cast<double>(uniform_from(even_word))));
  const double angle = 6.283185307179586476925 * static_cast<double>(uniform_from(odd_word));
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

/// Whether dropout keeps an element; `probability` is that of a zero.
inline bool dropout_keeps(uint32_t word, float probability) { return uniform_from(word) >= probability; }

}  // namespace lazuli
