// Products of many rows with weights of 8 and 4 bits by AVX-512 VNNI: 32 rows of the weight are packed side by side, four numbers of each
// in a lane, and meet four numbers of a row of x in all lanes.
#include "backend/cpu/common/thresholds.h"
#include "backend/cpu/quantized/quantized.h"

#if defined(__x86_64__)

#include <algorithm>
#include <array>
#include <utility>

#include "backend/cpu/quantized/vnni.h"

namespace lazuli::cpu {

namespace {

constexpr int64_t kLanes = 16;
constexpr int64_t kWide = 2 * kLanes;
constexpr int kTallest8 = threshold::quantized::kTallest8, kTallest4 = threshold::quantized::kTallest4;

/// The lanes of 16 vectors exchanged with their numbers.
LAZULI_VNNI_INLINE void transpose(__m512i (&v)[16]) {
  __m512i t[16];
  LAZULI_UNROLL
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
  LAZULI_UNROLL
  for (int i = 0; i < 16; i += 4) {
    v[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    v[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    v[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    v[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  // Now v[4 g + c] holds lanes c, 4 + c, 8 + c, 12 + c of rows 4 g to 4 g + 3, a block of 128 bits each.
  LAZULI_UNROLL
  for (int c = 0; c < 4; ++c) {
    const __m512i a = _mm512_shuffle_i32x4(v[c], v[4 + c], 0x88), b = _mm512_shuffle_i32x4(v[8 + c], v[12 + c], 0x88);
    const __m512i d = _mm512_shuffle_i32x4(v[c], v[4 + c], 0xdd), e = _mm512_shuffle_i32x4(v[8 + c], v[12 + c], 0xdd);
    t[c] = _mm512_shuffle_i32x4(a, b, 0x88);
    t[8 + c] = _mm512_shuffle_i32x4(a, b, 0xdd);
    t[4 + c] = _mm512_shuffle_i32x4(d, e, 0x88);
    t[12 + c] = _mm512_shuffle_i32x4(d, e, 0xdd);
  }
  LAZULI_UNROLL
  for (int i = 0; i < 16; ++i) v[i] = t[i];
}

/// Packs 32 rows of the weight from `column` on; rows that are missing repeat the last one. 8 bits: for each four numbers 128 bytes,
/// flipped to unsigned. 4 bits: for each four bytes 128 bytes of low halves, then 128 of high ones.
template <int kBits>
LAZULI_VNNI void pack(const QuantizedTile& t, int64_t column, std::byte* panel) {
  const int64_t bytes = kBits == 8 ? t.k : t.k / 2;
  const __m512i flip = _mm512_set1_epi8(static_cast<char>(-128)), low = _mm512_set1_epi8(15);
  for (int64_t half = 0; half < 2; ++half) {
    for (int64_t p = 0; p < bytes; p += 64) {
      const __mmask64 mask = bytes - p >= 64 ? ~__mmask64{0} : (__mmask64{1} << (bytes - p)) - 1;
      __m512i v[16];
      LAZULI_UNROLL
      for (int i = 0; i < 16; ++i) {
        const int64_t row = std::min(column + half * kLanes + i, t.columns - 1);
        v[i] = _mm512_maskz_loadu_epi8(mask, t.q + row * t.q_stride + p);
      }
      transpose(v);
      const int64_t quads = std::min<int64_t>(16, (bytes - p + 3) / 4);
      std::byte* to = panel + p / 4 * (kBits == 8 ? 128 : 256) + half * 64;
      for (int64_t j = 0; j < quads; ++j) {
        if constexpr (kBits == 8) {
          _mm512_store_si512(to + 128 * j, _mm512_xor_si512(v[j], flip));
        } else {
          _mm512_store_si512(to + 256 * j, _mm512_and_si512(v[j], low));
          _mm512_store_si512(to + 256 * j + 128, _mm512_and_si512(_mm512_srli_epi16(v[j], 4), low));
        }
      }
    }
  }
}

LAZULI_VNNI_INLINE __mmask16 lanes_of(int64_t n) {
  return static_cast<__mmask16>(n >= kLanes ? 0xffffu : (1u << std::max<int64_t>(n, 0)) - 1u);
}

/// Scales of 32 rows of the weight, the one with number `group` of each.
void load_factors(const QuantizedTile& t, int64_t column, int64_t group, float* to) {
  for (int64_t i = 0; i < kWide; ++i) {
    const int64_t row = std::min(column + i, t.columns - 1);
    to[i] = quantized_scale(t.scales, t.half_scales, row * t.scale_stride + group);
  }
}

LAZULI_VNNI_INLINE __m512i four_everywhere(const int8_t* x) {
  int32_t four;
  __builtin_memcpy(&four, x, sizeof(four));
  return _mm512_set1_epi32(four);
}

struct Panel {
  const std::byte* whole;  ///< for each quad 32 times four numbers
  const float* factors;    ///< for each group 32 of them
};

LAZULI_VNNI_INLINE void store8(const QuantizedTile& t, const Panel& panel, int64_t row, int64_t column, __m512i left, __m512i right) {
  const auto& r = *reinterpret_cast<const RoundedRow*>(t.x + row * t.x_stride);
  const __m512i flipped = _mm512_set1_epi32(128 * r.sum);
  const __m512 scale = _mm512_set1_ps(r.scale);
  const __m512 a = _mm512_cvtepi32_ps(_mm512_sub_epi32(left, flipped)), b = _mm512_cvtepi32_ps(_mm512_sub_epi32(right, flipped));
  float* out = t.out + row * t.ldo + column;
  _mm512_mask_storeu_ps(out, lanes_of(t.columns - column), _mm512_mul_ps(a, _mm512_mul_ps(scale, _mm512_load_ps(panel.factors))));
  _mm512_mask_storeu_ps(out + kLanes, lanes_of(t.columns - column - kLanes),
                        _mm512_mul_ps(b, _mm512_mul_ps(scale, _mm512_load_ps(panel.factors + kLanes))));
}

// Sums are named by constants all the way, so that they stay in registers.
template <int... kRow>
LAZULI_VNNI void rows8(const QuantizedTile& t, const Panel& panel, int64_t row, int64_t column, std::integer_sequence<int, kRow...>) {
  constexpr int kM = sizeof...(kRow);
  __m512i left[kM], right[kM], four;
  ((left[kRow] = right[kRow] = _mm512_setzero_si512()), ...);
  const int8_t* x = reinterpret_cast<const RoundedRow*>(t.x + row * t.x_stride)->values();
  const std::byte* w = panel.whole;
  for (int64_t p = 0; p < t.k; p += 4, w += 4 * kWide, x += 4) {
    const __m512i w0 = _mm512_load_si512(w), w1 = _mm512_load_si512(w + 64);
    ((four = four_everywhere(x + kRow * t.x_stride), left[kRow] = _mm512_dpbusd_epi32(left[kRow], w0, four),
      right[kRow] = _mm512_dpbusd_epi32(right[kRow], w1, four)),
     ...);
  }
  (store8(t, panel, row + kRow, column, left[kRow], right[kRow]), ...);
}

LAZULI_VNNI_INLINE void start4(const RoundedBlock& block, int64_t at, __m512i& left, __m512i& right) {
  left = right = _mm512_set1_epi32(block.start[at / 4]);
}
LAZULI_VNNI_INLINE void add4(const RoundedBlock& block, int64_t at, const std::byte* w, __m512i& left, __m512i& right) {
  const __m512i even = four_everywhere(block.even + at), odd = four_everywhere(block.odd + at);
  left = _mm512_dpbusd_epi32(left, _mm512_load_si512(w), even);
  right = _mm512_dpbusd_epi32(right, _mm512_load_si512(w + 64), even);
  left = _mm512_dpbusd_epi32(left, _mm512_load_si512(w + 128), odd);
  right = _mm512_dpbusd_epi32(right, _mm512_load_si512(w + 192), odd);
}
LAZULI_VNNI_INLINE void scale4(float scale, const float* factors, __m512i whole, __m512& sum) {
  sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole), _mm512_mul_ps(_mm512_set1_ps(scale), _mm512_load_ps(factors)), sum);
}
LAZULI_VNNI_INLINE void store4(const QuantizedTile& t, int64_t row, int64_t column, __m512 left, __m512 right) {
  float* out = t.out + row * t.ldo + column;
  _mm512_mask_storeu_ps(out, lanes_of(t.columns - column), left);
  _mm512_mask_storeu_ps(out + kLanes, lanes_of(t.columns - column - kLanes), right);
}

template <int... kRow>
LAZULI_VNNI void rows4(const QuantizedTile& t, const Panel& panel, int64_t row, int64_t column, std::integer_sequence<int, kRow...>) {
  constexpr int kM = sizeof...(kRow);
  __m512 left[kM], right[kM];
  ((left[kRow] = right[kRow] = _mm512_setzero_ps()), ...);
  const auto* x = reinterpret_cast<const RoundedBlock*>(t.x + row * t.x_stride);
  const int64_t blocks = t.x_stride / static_cast<int64_t>(sizeof(RoundedBlock));
  const std::byte* w = panel.whole;
  const float* factors = panel.factors;
  for (int64_t g = 0; g < t.k / kQuantizedGroup; ++g, factors += kWide) {
    const RoundedBlock* block = x + g / 4;
    const int64_t at = g % 4 * 16;
    __m512i a[kM], b[kM];
    (start4(block[kRow * blocks], at, a[kRow], b[kRow]), ...);
    for (int64_t j = at; j < at + 16; j += 4, w += 8 * kWide) (add4(block[kRow * blocks], j, w, a[kRow], b[kRow]), ...);
    ((scale4(block[kRow * blocks].scale[at / 4], factors, a[kRow], left[kRow]),
      scale4(block[kRow * blocks].scale[at / 4], factors + kLanes, b[kRow], right[kRow])),
     ...);
  }
  (store4(t, row + kRow, column, left[kRow], right[kRow]), ...);
}

template <int kBits, int kM>
void rows_of_x(const QuantizedTile& t, const Panel& panel, int64_t row, int64_t column) {
  if constexpr (kBits == 8) {
    rows8(t, panel, row, column, std::make_integer_sequence<int, kM>());
  } else {
    rows4(t, panel, row, column, std::make_integer_sequence<int, kM>());
  }
}

using RowsKernel = void (*)(const QuantizedTile&, const Panel&, int64_t row, int64_t column);
template <int kBits, int... kM>
constexpr std::array<RowsKernel, sizeof...(kM)> kernels_up_to(std::integer_sequence<int, kM...>) {
  return {rows_of_x<kBits, kM + 1>...};
}
constexpr auto kRows8 = kernels_up_to<8>(std::make_integer_sequence<int, kTallest8>());
constexpr auto kRows4 = kernels_up_to<4>(std::make_integer_sequence<int, kTallest4>());

/// All rows of x times the panel, as evenly cut as the registers allow.
void all_rows(const QuantizedTile& t, const Panel& panel, int64_t column, const RowsKernel* kernels, int64_t tallest) {
  const int64_t pieces = (t.rows + tallest - 1) / tallest;
  for (int64_t k = 0; k < pieces; ++k) {
    const int64_t first = t.rows * k / pieces, last = t.rows * (k + 1) / pieces;
    kernels[last - first - 1](t, panel, first, column);
  }
}

template <int kBits>
void panels(const QuantizedTile& t, std::byte* scratch) {
  const int64_t groups = kBits == 8 ? 1 : t.k / kQuantizedGroup;
  auto* factors = reinterpret_cast<float*>(scratch + (t.k + 3) / 4 * 4 * kWide);
  for (int64_t column = 0; column < t.columns; column += kWide) {
    pack<kBits>(t, column, scratch);
    for (int64_t g = 0; g < groups; ++g) load_factors(t, column, g, factors + g * kWide);
    if constexpr (kBits == 8) {
      all_rows(t, {scratch, factors}, column, kRows8.data(), kTallest8);
    } else {
      all_rows(t, {scratch, factors}, column, kRows4.data(), kTallest4);
    }
  }
}

}  // namespace

void (*quantized_panels_vnni(int64_t bits))(const QuantizedTile& tile, std::byte* scratch) {
  if (quantized_product_vnni(bits) == nullptr) return nullptr;
  return bits == 8 ? panels<8> : panels<4>;
}

}  // namespace lazuli::cpu

#else

namespace lazuli::cpu {

void (*quantized_panels_vnni(int64_t))(const QuantizedTile& tile, std::byte* scratch) { return nullptr; }

}  // namespace lazuli::cpu

#endif
