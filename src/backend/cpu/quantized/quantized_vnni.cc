// Products with weights of 8 and 4 bits by the inner products of bytes that AVX-512 VNNI has: unsigned times signed.
#include "backend/cpu/common/thresholds.h"
#include "backend/cpu/quantized/quantized.h"

#if defined(__x86_64__)

#include <algorithm>

#include "backend/cpu/quantized/vnni.h"

namespace lazuli::cpu {

namespace {

constexpr int kColumns = threshold::quantized::kColumns;
constexpr int kRows = threshold::quantized::kRows;
using threshold::quantized::kNearBytes;

// How far ahead a single row asks for the weight: the processor alone asks too late for memory to be busy all the time.
constexpr int64_t kAheadBytes = 4096;

LAZULI_VNNI_INLINE void ask_for(const std::byte* p) { _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0); }

/// The sums of four vectors.
LAZULI_VNNI_INLINE __m128i sums_of_four(__m512i a, __m512i b, __m512i c, __m512i d) {
  const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
  const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
  const __m512i abcd = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
  const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(abcd), _mm512_extracti64x4_epi64(abcd, 1));
  return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}
LAZULI_VNNI_INLINE __m128 sums_of_four(__m512 a, __m512 b, __m512 c, __m512 d) {
  const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
  const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
  const __m512 low = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd)));
  const __m512 high = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd)));
  const __m512 abcd = _mm512_add_ps(low, high);
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(abcd), _mm512_extractf32x8_ps(abcd, 1));
  return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}

LAZULI_VNNI_INLINE __mmask8 first(int64_t n) { return static_cast<__mmask8>((1u << n) - 1u); }

/// Up to four scales that follow each other.
LAZULI_VNNI_INLINE __m128 load_scales(const QuantizedTile& t, int64_t at, int64_t n) {
  if (t.half_scales) {
    return _mm_cvtph_ps(_mm_maskz_loadu_epi16(first(n), static_cast<const uint16_t*>(t.scales) + at));
  }
  return _mm_maskz_loadu_ps(first(n), static_cast<const float*>(t.scales) + at);
}

/// kM rows times `columns` <= 4 rows of the weight; what is missing repeats the last one and is not stored.
template <int kM>
LAZULI_VNNI_INLINE void tile8(const QuantizedTile& t, int64_t row, int64_t column) {
  const int64_t columns = std::min<int64_t>(kColumns, t.columns - column);
  const std::byte* w[kColumns];
  const RoundedRow* rows[kM];
  __m512i sum[kM][kColumns];
  LAZULI_UNROLL
  for (int j = 0; j < kColumns; ++j) w[j] = t.q + (column + std::min<int64_t>(j, columns - 1)) * t.q_stride;
  LAZULI_UNROLL
  for (int i = 0; i < kM; ++i) {
    rows[i] = reinterpret_cast<const RoundedRow*>(t.x + (row + i) * t.x_stride);
    LAZULI_UNROLL
    for (int j = 0; j < kColumns; ++j) sum[i][j] = _mm512_setzero_si512();
  }
  // Adding 128 makes the weight unsigned; the sums of x take that off again.
  const __m512i flip = _mm512_set1_epi8(static_cast<char>(-128));
  for (int64_t p = 0; p < t.k; p += 64) {
    const __mmask64 mask = t.k - p >= 64 ? ~__mmask64{0} : (__mmask64{1} << (t.k - p)) - 1;
    __m512i x[kM];
    LAZULI_UNROLL
    for (int i = 0; i < kM; ++i) x[i] = _mm512_load_si512(rows[i]->values() + p);
    LAZULI_UNROLL
    for (int j = 0; j < kColumns; ++j) {
      if constexpr (kM == 1) ask_for(w[j] + p + kAheadBytes);
      const __m512i v = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, w[j] + p), flip);
      LAZULI_UNROLL
      for (int i = 0; i < kM; ++i) sum[i][j] = _mm512_dpbusd_epi32(sum[i][j], v, x[i]);
    }
  }
  const __m128 scales = load_scales(t, column * t.scale_stride, columns);
  LAZULI_UNROLL
  for (int i = 0; i < kM; ++i) {
    const __m128i whole = _mm_sub_epi32(sums_of_four(sum[i][0], sum[i][1], sum[i][2], sum[i][3]), _mm_set1_epi32(128 * rows[i]->sum));
    const __m128 v = _mm_mul_ps(_mm_cvtepi32_ps(whole), _mm_mul_ps(_mm_set1_ps(rows[i]->scale), scales));
    _mm_mask_storeu_ps(t.out + (row + i) * t.ldo + column, first(columns), v);
  }
}

template <int kM>
LAZULI_VNNI_INLINE void tile4(const QuantizedTile& t, int64_t row, int64_t column) {
  const int64_t columns = std::min<int64_t>(kColumns, t.columns - column), groups = t.k / kQuantizedGroup;
  const std::byte* w[kColumns];
  int64_t scale[kColumns];
  const RoundedBlock* x[kM];
  __m512 sum[kM][kColumns];
  LAZULI_UNROLL
  for (int j = 0; j < kColumns; ++j) {
    const int64_t at = column + std::min<int64_t>(j, columns - 1);
    w[j] = t.q + at * t.q_stride;
    scale[j] = at * t.scale_stride;
  }
  LAZULI_UNROLL
  for (int i = 0; i < kM; ++i) {
    x[i] = reinterpret_cast<const RoundedBlock*>(t.x + (row + i) * t.x_stride);
    LAZULI_UNROLL
    for (int j = 0; j < kColumns; ++j) sum[i][j] = _mm512_setzero_ps();
  }
  const __m512i low = _mm512_set1_epi8(15), spread = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
  for (int64_t g = 0; g < groups; g += 4) {
    const int64_t count = std::min<int64_t>(4, groups - g);
    const __mmask64 mask = count == 4 ? ~__mmask64{0} : (__mmask64{1} << (16 * count)) - 1;
    const int64_t block = g / 4;
    LAZULI_UNROLL
    for (int j = 0; j < kColumns; ++j) {
      if constexpr (kM == 1) {
        ask_for(w[j] + 16 * g + kAheadBytes);
        if (g % 16 == 0) ask_for(static_cast<const std::byte*>(t.scales) + (scale[j] + g) * (t.half_scales ? 2 : 4) + kAheadBytes / 8);
      }
      const __m512i both = _mm512_maskz_loadu_epi8(mask, w[j] + 16 * g);
      const __m512i even = _mm512_and_si512(both, low), odd = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
      const __m512 factor = _mm512_permutexvar_ps(spread, _mm512_castps128_ps512(load_scales(t, scale[j] + g, count)));
      LAZULI_UNROLL
      for (int i = 0; i < kM; ++i) {
        const RoundedBlock& b = x[i][block];
        __m512i whole = _mm512_dpbusd_epi32(_mm512_load_si512(b.start), even, _mm512_load_si512(b.even));
        whole = _mm512_dpbusd_epi32(whole, odd, _mm512_load_si512(b.odd));
        sum[i][j] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole), _mm512_mul_ps(factor, _mm512_load_ps(b.scale)), sum[i][j]);
      }
    }
  }
  LAZULI_UNROLL
  for (int i = 0; i < kM; ++i) {
    _mm_mask_storeu_ps(t.out + (row + i) * t.ldo + column, first(columns), sums_of_four(sum[i][0], sum[i][1], sum[i][2], sum[i][3]));
  }
}

template <int kBits, int kM>
LAZULI_VNNI_INLINE void tile(const QuantizedTile& t, int64_t row, int64_t column) {
  if constexpr (kBits == 8) {
    tile8<kM>(t, row, column);
  } else {
    tile4<kM>(t, row, column);
  }
}

template <int kBits>
LAZULI_VNNI void product(const QuantizedTile& t) {
  const int64_t near = std::max<int64_t>(kNearBytes / t.x_stride / kRows, 1) * kRows;
  for (int64_t first_row = 0; first_row < t.rows; first_row += near) {
    const int64_t last = std::min(first_row + near, t.rows);
    for (int64_t j = 0; j < t.columns; j += kColumns) {
      int64_t i = first_row;
      for (; i + kRows <= last; i += kRows) tile<kBits, kRows>(t, i, j);
      if (i + 2 <= last) {
        tile<kBits, 2>(t, i, j);
        i += 2;
      }
      if (i < last) tile<kBits, 1>(t, i, j);
    }
  }
}

bool has_vnni() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("fma");
}

}  // namespace

void (*quantized_product_vnni(int64_t bits))(const QuantizedTile& tile) {
  static const bool present = has_vnni();
  if (!present) return nullptr;
  return bits == 8 ? product<8> : product<4>;
}

}  // namespace lazuli::cpu

#else

namespace lazuli::cpu {

void (*quantized_product_vnni(int64_t))(const QuantizedTile& tile) { return nullptr; }

}  // namespace lazuli::cpu

#endif
