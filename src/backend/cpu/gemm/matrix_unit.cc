#include "backend/cpu/gemm/matrix_unit.h"

#include "backend/cpu/gemm/emulated.h"
#include "backend/cpu/gemm/transpose_words.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "hwy/base.h"
#include "hwy/targets.h"

namespace lazuli::cpu {

namespace {

bool processor_has_it() {
  constexpr unsigned kBf16 = 1u << 22, kTiles = 1u << 24;
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kBf16) != 0 && (d & kTiles) != 0;
}

/// The tiles' 8 KB are not part of a thread's state until the process has asked for that.
bool system_allows_it() {
#ifdef SYS_arch_prctl
  constexpr int kRequest = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
#else
  return false;
#endif
}

}  // namespace

bool has_matrix_unit() {
  static const bool has = processor_has_it() && system_allows_it();
  return has && (hwy::SupportedTargets() & HWY_AVX3) != 0;
}

}  // namespace lazuli::cpu

HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512vl,avx512dq,fma,f16c,amx-tile,amx-bf16")
namespace lazuli::cpu {
namespace {

/// Loads `mask` of 16 values as f32.
HWY_INLINE __m512 load(const float* in, __mmask16 mask) { return _mm512_maskz_loadu_ps(mask, in); }
HWY_INLINE __m512 load(const bf16* in, __mmask16 mask) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, in)), 16));
}
HWY_INLINE __m512 load(const f16* in, __mmask16 mask) { return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, in)); }

/// The upper halves of x in the lower half of each pair, those of y in the upper one.
HWY_INLINE __m512i pairs(__m512i x, __m512i y) {
  return _mm512_or_si512(_mm512_and_si512(y, _mm512_set1_epi32(static_cast<int>(0xffff0000u))), _mm512_srli_epi32(x, 16));
}

/// x and y to pairs of bf16, rounded to nearest; what is left of them remains.
HWY_INLINE __m512i take_limb(__m512& x, __m512& y) {
  const __m512i half = _mm512_set1_epi32(0x8000), upper = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
  const __m512i a = _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(x), half), upper);
  const __m512i b = _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(y), half), upper);
  x = _mm512_sub_ps(x, _mm512_castsi512_ps(a));
  y = _mm512_sub_ps(y, _mm512_castsi512_ps(b));
  return pairs(a, b);
}

/// x and y that are bf16 already.
HWY_INLINE __m512i last_limb(__m512 x, __m512 y) { return pairs(_mm512_castps_si512(x), _mm512_castps_si512(y)); }

/// 16 lines of 16 pairs each, the other way round.
HWY_INLINE void transpose_pairs(const std::byte* in, std::byte* out) {
  __m512i r[16];
  HWY_UNROLL(16)
  for (int i = 0; i < 16; ++i) r[i] = _mm512_load_si512(in + i * 64);
  transpose_words(r);
  HWY_UNROLL(16)
  for (int i = 0; i < 16; ++i) _mm512_store_si512(out + i * 64, r[i]);
}

constexpr uint16_t lanes(int64_t n) { return static_cast<uint16_t>(n <= 0 ? 0 : n >= 16 ? 0xffff : (1 << n) - 1); }

/// Where the two halves of a tile are: a pair is made of what lies at the same place of a line of each.
struct Halves {
  int64_t line, second;         ///< from line to line, and from the first half to the second
  int64_t lines, second_lines;  ///< that there are, of 16
  uint16_t mask, second_mask;   ///< values of a line that there are
};

/// The tiles of all limbs, each 16 lines of pairs, in `out`.
template <class T>
HWY_INLINE void split_lines(const T* in, const Halves& h, std::byte* out) {
  constexpr int kLimbs = limbs_of(dtype_of<T>);
  for (int i = 0; i < 16; ++i) {
    const T* const at = in + i * h.line;
    __m512 x = i < h.lines ? load(at, h.mask) : _mm512_setzero_ps();
    __m512 y = i < h.second_lines ? load(at + h.second, h.second_mask) : _mm512_setzero_ps();
    std::byte* const to = out + i * 64;
    if constexpr (kLimbs > 1) _mm512_store_si512(to, take_limb(x, y));
    if constexpr (kLimbs > 2) _mm512_store_si512(to + kUnitBytes, take_limb(x, y));
    _mm512_store_si512(to + (kLimbs - 1) * kUnitBytes, last_limb(x, y));
  }
}

template <class T>
void split(const LimbSource& source, bool right, int64_t lines, int64_t k, std::byte* tiles) {
  constexpr int kLimbs = limbs_of(dtype_of<T>);
  const T* const values = static_cast<const T*>(source.values);
  const bool along = source.step == 1;  // what lies side by side are steps of k
  const bool turn = along == right;
  alignas(64) std::byte other_way[3 * kUnitBytes];
  for (int64_t i = 0; i < lines; i += kUnitRows) {
    const int64_t rows = std::min(kUnitRows, lines - i);
    for (int64_t p = 0; p < k; p += kUnitSteps) {
      // Step p and step p + 16 are a pair.
      const int64_t first = std::min<int64_t>(16, k - p), second = std::clamp<int64_t>(k - p - 16, 0, 16);
      const Halves h = along ? Halves{source.line, 16, rows, rows, lanes(first), lanes(second)}
                             : Halves{source.step, 16 * source.step, first, second, lanes(rows), lanes(rows)};
      split_lines(values + i * source.line + p * source.step, h, turn ? other_way : tiles);
      for (int limb = 0; turn && limb < kLimbs; ++limb) transpose_pairs(other_way + limb * kUnitBytes, tiles + limb * kUnitBytes);
      tiles += kLimbs * kUnitBytes;
    }
  }
}

/// Sums of a square that are stored or added to the result while the next one is computed.
class Waiting {
 public:
  float* next(float* c, int64_t ldc, bool accumulate) {
    flush(kUnitBlock);
    which_ ^= 1;
    c_ = c;
    ldc_ = ldc;
    accumulate_ = accumulate;
    row_ = 0;
    return sums_[which_];
  }
  /// Up to that row.
  HWY_INLINE void flush(int64_t end) {
    const float* from = sums_[which_] + row_ * kUnitBlock;
    for (; row_ < end; ++row_, from += kUnitBlock) {
      float* const to = c_ + row_ * ldc_;
      __m512 x = _mm512_load_ps(from), y = _mm512_load_ps(from + 16);
      if (accumulate_) {
        x = _mm512_add_ps(_mm512_loadu_ps(to), x);
        y = _mm512_add_ps(_mm512_loadu_ps(to + 16), y);
      }
      _mm512_storeu_ps(to, x);
      _mm512_storeu_ps(to + 16, y);
    }
  }

 private:
  float* c_ = nullptr;
  int64_t ldc_ = 0, row_ = kUnitBlock;
  int which_ = 0;
  bool accumulate_ = false;
  alignas(64) float sums_[2][kUnitBlock * kUnitBlock];
};

// Products of limbs; neighbours share one side. Those but the last, the large one, are summed over all k before it, while sums are small:
// then the large ones' sums are rounded as often as if there were no others.
constexpr std::array<std::pair<int, int>, 6> kOrder = {{{0, 2}, {0, 1}, {1, 1}, {1, 0}, {2, 0}, {0, 0}}};
constexpr int kLarge = 5;

/// From step kStep of kOrder on, before kEnd. kA, kB: limbs that are in registers.
template <int kLimbsA, int kLimbsB, int kStep, int kEnd, int kA = -1, int kB = -1>
HWY_INLINE void multiply_tiles(const std::byte* a, int64_t a_next, const std::byte* b, int64_t b_next) {
  if constexpr (kStep < kEnd) {
    constexpr int i = kOrder[kStep].first, j = kOrder[kStep].second;
    if constexpr (i < kLimbsA && j < kLimbsB) {
      if constexpr (i != kA) {
        _tile_loadd(4, a + i * kUnitBytes, 64);
        _tile_loadd(5, a + a_next + i * kUnitBytes, 64);
      }
      if constexpr (j != kB) {
        _tile_loadd(6, b + j * kUnitBytes, 64);
        _tile_loadd(7, b + b_next + j * kUnitBytes, 64);
      }
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(3, 5, 7);
      multiply_tiles<kLimbsA, kLimbsB, kStep + 1, kEnd, i, j>(a, a_next, b, b_next);
    } else {
      multiply_tiles<kLimbsA, kLimbsB, kStep + 1, kEnd, kA, kB>(a, a_next, b, b_next);
    }
  }
}

struct TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);

template <int kLimbsA, int kLimbsB>
void multiply(const LimbProduct& p) {
  const TileConfig config;
  _tile_loadconfig(&config);
  const int64_t chunks = (p.k + kUnitSteps - 1) / kUnitSteps, flushed = (kUnitBlock + chunks - 1) / chunks;
  constexpr int64_t a_step = kLimbsA * kUnitBytes, b_step = kLimbsB * kUnitBytes;
  const int64_t a_next = chunks * a_step, b_next = chunks * b_step;
  Waiting waiting;
  // The intrinsics do not say that they read and write memory.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  for (int64_t i = 0; i < p.rows; i += kUnitBlock) {
    for (int64_t j = 0; j < p.columns; j += kUnitBlock) {
      const std::byte *a = p.a + i / kUnitRows * a_next, *b = p.b + j / kUnitRows * b_next;
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
      for (int64_t q = 0; q < chunks; ++q) {
        multiply_tiles<kLimbsA, kLimbsB, 0, kLarge>(a + q * a_step, a_next, b + q * b_step, b_next);
        waiting.flush(std::min(kUnitBlock, (q + 1) * flushed));
        if (p.ahead != nullptr) p.ahead->next();
      }
      for (int64_t q = 0; q < chunks; ++q) {
        multiply_tiles<kLimbsA, kLimbsB, kLarge, kLarge + 1>(a + q * a_step, a_next, b + q * b_step, b_next);
      }
      float* const sums = waiting.next(p.c + i * p.ldc + j, p.ldc, p.accumulate);
      _tile_stored(0, sums, kUnitBlock * sizeof(float));
      _tile_stored(1, sums + 16, kUnitBlock * sizeof(float));
      _tile_stored(2, sums + 16 * kUnitBlock, kUnitBlock * sizeof(float));
      _tile_stored(3, sums + 16 * kUnitBlock + 16, kUnitBlock * sizeof(float));
      std::atomic_signal_fence(std::memory_order_seq_cst);
    }
  }
  waiting.flush(kUnitBlock);
  _tile_release();
}

void transpose_squares(const float* in, int64_t ldi, int64_t rows, int64_t columns, float* out, int64_t ldo) {
  // Whole lines are written one after the other.
  for (int64_t j = 0; j < columns; j += 16) {
    for (int64_t i = 0; i < rows; i += 16) {
      const int64_t height = std::min<int64_t>(16, rows - i), width = std::min<int64_t>(16, columns - j);
      __m512i r[16];
      HWY_UNROLL(16)
      for (int k = 0; k < 16; ++k) {
        r[k] = k < height ? _mm512_castps_si512(load(in + (i + k) * ldi + j, lanes(width))) : _mm512_setzero_si512();
      }
      transpose_words(r);
      HWY_UNROLL(16)
      for (int k = 0; k < 16; ++k) {
        if (k < width) _mm512_mask_storeu_ps(out + (j + k) * ldo + i, lanes(height), _mm512_castsi512_ps(r[k]));
      }
    }
  }
}

bool find_nan(const float* values, int64_t ld, int64_t rows, int64_t columns) {
  __mmask16 found = 0;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; j += 16) {
      const __m512 x = load(values + i * ld + j, lanes(columns - j));
      found = static_cast<__mmask16>(found | _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q));
    }
  }
  return found != 0;
}

}  // namespace
}  // namespace lazuli::cpu
HWY_POP_ATTRIBUTES

namespace lazuli::cpu {

namespace {

void split_limbs(const LimbSource& source, bool right, int64_t lines, int64_t k, std::byte* tiles) {
  if (source.dtype == DType::f32) split<float>(source, right, lines, k, tiles);
  if (source.dtype == DType::bf16) split<bf16>(source, right, lines, k, tiles);
  if (source.dtype == DType::f16) split<f16>(source, right, lines, k, tiles);
}

void multiply_limbs(const LimbProduct& product) {
  using Function = void (*)(const LimbProduct&);
  static constexpr Function kBy[3][3] = {{multiply<1, 1>, multiply<1, 2>, multiply<1, 3>},
                                         {multiply<2, 1>, multiply<2, 2>, multiply<2, 3>},
                                         {multiply<3, 1>, multiply<3, 2>, multiply<3, 3>}};
  kBy[product.a_limbs - 1][product.b_limbs - 1](product);
}

constexpr LimbKernels kLimbKernels{split_limbs, multiply_limbs, transpose_squares, find_nan};

}  // namespace

const LimbKernels* limb_kernels() {
  if (emulated().matrix_unit) return &plain_limb_kernels();
  return has_matrix_unit() ? &kLimbKernels : nullptr;
}

}  // namespace lazuli::cpu

#else

namespace lazuli::cpu {

bool has_matrix_unit() { return false; }
const LimbKernels* limb_kernels() { return emulated().matrix_unit ? &plain_limb_kernels() : nullptr; }

}  // namespace lazuli::cpu

#endif
