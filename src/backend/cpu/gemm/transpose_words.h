// Defines the transposition of 16 x 16 words of 32 bits in registers of AVX-512.
#pragma once

#if defined(__x86_64__)

#include <immintrin.h>

#include "hwy/base.h"

HWY_PUSH_ATTRIBUTES("avx512f")
namespace lazuli::cpu {

/// r[i] of lane j becomes r[j] of lane i, of 16 lanes of 32 bits.
HWY_INLINE void transpose_words(__m512i (&r)[16]) {
  __m512i t[16];
  HWY_UNROLL(8)
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  HWY_UNROLL(4)
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  // Quarter q of r[4 * i + c] is column 4 * q + c of lines 4 * i to 4 * i + 3.
  HWY_UNROLL(4)
  for (int c = 0; c < 4; ++c) {
    const __m512i even_low = _mm512_shuffle_i32x4(r[c], r[4 + c], 0x88), odd_low = _mm512_shuffle_i32x4(r[c], r[4 + c], 0xdd);
    const __m512i even_high = _mm512_shuffle_i32x4(r[8 + c], r[12 + c], 0x88), odd_high = _mm512_shuffle_i32x4(r[8 + c], r[12 + c], 0xdd);
    r[c] = _mm512_shuffle_i32x4(even_low, even_high, 0x88);
    r[4 + c] = _mm512_shuffle_i32x4(odd_low, odd_high, 0x88);
    r[8 + c] = _mm512_shuffle_i32x4(even_low, even_high, 0xdd);
    r[12 + c] = _mm512_shuffle_i32x4(odd_low, odd_high, 0xdd);
  }
}

}  // namespace lazuli::cpu
HWY_POP_ATTRIBUTES

#endif
