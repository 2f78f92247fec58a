// Tiles of products of pairs of bf16.
#include "backend/cpu/gemm/pair_tiles.h"

#include "backend/cpu/gemm/emulated.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "backend/cpu/gemm/transpose_words.h"
#include "hwy/base.h"
#include "hwy/targets.h"

namespace lazuli::cpu {

namespace {

bool processor_multiplies_pairs() {
  constexpr unsigned kBf16 = 1u << 5;
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & kBf16) != 0;
}

}  // namespace

}  // namespace lazuli::cpu

HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")
namespace lazuli::cpu {
namespace {

constexpr uint32_t first_values(int64_t n) { return n <= 0 ? 0 : n >= 32 ? ~0u : (1u << n) - 1; }

/// Columns whose steps of k follow each other: 16 of them at a time, 16 pairs of each.
HWY_INLINE void pack_columns(const PairSource& source, int64_t k, int64_t columns, float* panel) {
  for (int64_t chunk = 0; chunk < kPanel; chunk += kChunk) {
    for (int64_t p = 0; p < k; p += 2 * kChunk) {
      __m512i r[16];
      for (int64_t c = 0; c < kChunk; ++c) {
        const uint32_t mask = chunk + c < columns ? first_values(k - p) : 0;
        r[c] = _mm512_maskz_loadu_epi16(mask, source.values + (mask == 0 ? 0 : (chunk + c) * source.column + p));
      }
      transpose_words(r);
      const int64_t pairs = std::min(kChunk, pairs_of(k - p));
      for (int64_t j = 0; j < pairs; ++j) _mm512_storeu_si512(panel + (p / 2 + j) * kPanel + chunk, r[j]);
    }
  }
}

/// Steps whose columns follow each other.
HWY_INLINE void pack_steps(const PairSource& source, int64_t k, int64_t columns, float* panel) {
  for (int64_t p = 0; p < k; p += 2) {
    for (int64_t chunk = 0; chunk < kPanel; chunk += kChunk) {
      const auto mask = static_cast<__mmask16>(first_values(std::min(columns - chunk, kChunk)));
      const bf16* const at = source.values + (mask == 0 ? 0 : p * source.step + chunk);
      const __m512i first = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, at));
      const __mmask16 second_mask = p + 1 < k ? mask : __mmask16{0};
      const __m512i second = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(second_mask, second_mask == 0 ? at : at + source.step));
      _mm512_storeu_si512(panel + p / 2 * kPanel + chunk, _mm512_or_si512(first, _mm512_slli_epi32(second, 16)));
    }
  }
}

void pack_pairs(const PairSource& source, int64_t k, int64_t columns, float* panel) {
  if (source.step == 1) {
    pack_columns(source, k, columns, panel);
  } else {
    pack_steps(source, k, columns, panel);
  }
}

HWY_INLINE __m512 add_pairs(__m512 sum, __m512i x, __m512i y) {
  return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(x), reinterpret_cast<__m512bh>(y));
}

template <int kRows>
void pair_tile(const TileArgs& t) {
  __m512 sum[kRows][2];
  HWY_UNROLL(14)
  for (int i = 0; i < kRows; ++i) sum[i][0] = sum[i][1] = _mm512_setzero_ps();
  const float* a = t.a;
  const auto* b = static_cast<const float*>(t.b);
  for (int64_t p = 0; p < t.k; p += kChunk) {
    const int64_t steps = std::min(kChunk, t.k - p);
    for (int64_t j = 0; j < steps; ++j) {
      const __m512i left = _mm512_loadu_si512(b), right = _mm512_loadu_si512(b + t.b_chunk);
      b += t.ldb;
      HWY_UNROLL(14)
      for (int i = 0; i < kRows; ++i) {
        const __m512i x = _mm512_set1_epi32(std::bit_cast<int32_t>(a[i * kChunk + j]));
        sum[i][0] = add_pairs(sum[i][0], left, x);
        sum[i][1] = add_pairs(sum[i][1], right, x);
      }
    }
    a += kRows * kChunk;
  }
  for (int i = 0; i < kRows; ++i) {
    for (int v = 0; v < 2; ++v) {
      float* const c = t.c + i * t.ldc + v * t.c_chunk;
      _mm512_storeu_ps(c, t.accumulate ? _mm512_add_ps(_mm512_loadu_ps(c), sum[i][v]) : sum[i][v]);
    }
  }
}

}  // namespace
}  // namespace lazuli::cpu
HWY_POP_ATTRIBUTES

namespace lazuli::cpu {

namespace {

template <int... kRow>
constexpr PairKernels pair_kernels_of(std::integer_sequence<int, kRow...>) {
  return {pack_pairs, {nullptr, pair_tile<kRow + 1>...}};
}
constexpr PairKernels kPairKernels = pair_kernels_of(std::make_integer_sequence<int, kMaxTileRows>());

}  // namespace

const PairKernels* pair_kernels() {
  if (emulated().bf16_pairs) return &plain_pair_kernels();
  static const bool has = processor_multiplies_pairs();
  return has && (hwy::SupportedTargets() & HWY_AVX3) != 0 ? &kPairKernels : nullptr;
}

}  // namespace lazuli::cpu

#else

namespace lazuli::cpu {

const PairKernels* pair_kernels() { return emulated().bf16_pairs ? &plain_pair_kernels() : nullptr; }

}  // namespace lazuli::cpu

#endif
