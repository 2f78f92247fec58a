// Inner-product kernels of matrix products.
#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/gemm/gemm_dot.cc"
#include "backend/cpu/common/each_target.h"
#include "backend/cpu/gemm/gemm_simd.h"

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu {
namespace HWY_NAMESPACE {
namespace {

/// The sums of four vectors to out[0..3].
HWY_INLINE void sums_of_four(VF a, VF b, VF c, VF d, bool accumulate, float* out) {
#if HWY_TARGET == HWY_SCALAR
  const float s[4] = {sum_of(a), sum_of(b), sum_of(c), sum_of(d)};
  for (int i = 0; i < 4; ++i) out[i] = accumulate ? out[i] + s[i] : s[i];
#else
  const F32 d32;
  const VF ac = hn::Add(hn::InterleaveLower(d32, a, c), hn::InterleaveUpper(d32, a, c));
  const VF bd = hn::Add(hn::InterleaveLower(d32, b, d), hn::InterleaveUpper(d32, b, d));
  const VF abcd = hn::Add(hn::InterleaveLower(d32, ac, bd), hn::InterleaveUpper(d32, ac, bd));
  HWY_ALIGN float block[kLanes];
  hn::Store(abcd, d32, block);
  const F32x4 d4;
  auto sum = hn::Load(d4, block);
  LAZULI_UNROLL
  for (int i = 4; i < kLanes; i += 4) sum = hn::Add(sum, hn::Load(d4, block + i));
  if (accumulate) sum = hn::Add(sum, hn::LoadU(d4, out));
  hn::StoreU(sum, d4, out);
#endif
}

// How far ahead the first rows ask for the weight: the processor alone asks too late for memory to be busy all the time.
constexpr int64_t kAheadBytes = 4096;
constexpr size_t kLineBytes = 64;

/// kRows rows of x times kColumns rows of w, which comes from memory where they are the first that read it.
template <int kRows, int kColumns, bool kFirst, class T>
HWY_INLINE void dot_tile(const DotArgs& t, const float* x, const T* w, float* c) {
  constexpr int kSums = kRows == 1 ? 2 : 1;
  VF sum[kSums][kRows][kColumns];
  LAZULI_UNROLL
  for (int s = 0; s < kSums; ++s) {
    LAZULI_UNROLL
    for (int i = 0; i < kRows; ++i) {
      LAZULI_UNROLL
      for (int j = 0; j < kColumns; ++j) sum[s][i][j] = zero();
    }
  }
  int64_t p = 0;
  for (; p + kSums * kLanes <= t.k; p += kSums * kLanes) {
    LAZULI_UNROLL
    for (int s = 0; s < kSums; ++s) {
      VF row[kRows];
      LAZULI_UNROLL
      for (int i = 0; i < kRows; ++i) row[i] = load(x + i * t.ldx + p + s * kLanes);
      LAZULI_UNROLL
      for (int j = 0; j < kColumns; ++j) {
        const T* at = w + j * t.ldw + p + s * kLanes;
        if (kFirst && (s == 0 || sizeof(T) * kLanes >= kLineBytes)) {
          __builtin_prefetch(reinterpret_cast<const char*>(at) + kAheadBytes, 0, 3);
        }
        const VF column = load(at);
        LAZULI_UNROLL
        for (int i = 0; i < kRows; ++i) sum[s][i][j] = hn::MulAdd(row[i], column, sum[s][i][j]);
      }
    }
  }
  for (; p < t.k; p += kLanes) {
    const int64_t n = std::min<int64_t>(kLanes, t.k - p);
    VF row[kRows];
    LAZULI_UNROLL
    for (int i = 0; i < kRows; ++i) row[i] = n == kLanes ? load(x + i * t.ldx + p) : load_n(x + i * t.ldx + p, n);
    LAZULI_UNROLL
    for (int j = 0; j < kColumns; ++j) {
      const VF column = n == kLanes ? load(w + j * t.ldw + p) : load_n(w + j * t.ldw + p, n);
      LAZULI_UNROLL
      for (int i = 0; i < kRows; ++i) sum[0][i][j] = hn::MulAdd(row[i], column, sum[0][i][j]);
    }
  }
  LAZULI_UNROLL
  for (int i = 0; i < kRows; ++i) {
    if constexpr (kSums == 2) {
      LAZULI_UNROLL
      for (int j = 0; j < kColumns; ++j) sum[0][i][j] = hn::Add(sum[0][i][j], sum[1][i][j]);
    }
    float* out = c + i * t.ldc;
    if constexpr (kColumns == 4) {
      sums_of_four(sum[0][i][0], sum[0][i][1], sum[0][i][2], sum[0][i][3], t.accumulate, out);
    } else {
      LAZULI_UNROLL
      for (int j = 0; j < kColumns; ++j) out[j] = t.accumulate ? out[j] + sum_of(sum[0][i][j]) : sum_of(sum[0][i][j]);
    }
  }
}

template <int kRows, bool kFirst, class T>
HWY_INLINE void dot_rows(const DotArgs& t, int64_t row) {
  const float* x = t.x + row * t.ldx;
  float* c = t.c + row * t.ldc;
  const T* w = static_cast<const T*>(t.w);
  int64_t j = 0;
  for (; j + 4 <= t.columns; j += 4) dot_tile<kRows, 4, kFirst, T>(t, x, w + j * t.ldw, c + j);
  for (; j < t.columns; ++j) dot_tile<kRows, 1, kFirst, T>(t, x, w + j * t.ldw, c + j);
}

/// As many of the first rows as are done at once.
template <class T>
HWY_INLINE int64_t first_rows(const DotArgs& t) {
  if constexpr (kAccumulators >= 16) {
    if (t.rows >= 4) {
      dot_rows<4, true, T>(t, 0);
      return 4;
    }
  }
  if (t.rows >= 2) {
    dot_rows<2, true, T>(t, 0);
    return 2;
  }
  if (t.rows == 1) dot_rows<1, true, T>(t, 0);
  return t.rows;
}

template <class T>
void dot(const DotArgs& t) {
  int64_t i = first_rows<T>(t);
  if constexpr (kAccumulators >= 16) {
    for (; i + 4 <= t.rows; i += 4) dot_rows<4, false, T>(t, i);
  }
  for (; i + 2 <= t.rows; i += 2) dot_rows<2, false, T>(t, i);
  for (; i < t.rows; ++i) dot_rows<1, false, T>(t, i);
}

template <class T>
void fill(GemmKernels& set) {
  set.dot = dot<T>;
}

void fill_dots(DType dtype, GemmKernels& set) {
  if (dtype == DType::f32) fill<float>(set);
  if (dtype == DType::bf16) fill<bf16>(set);
  if (dtype == DType::f16) fill<f16>(set);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lazuli::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lazuli::cpu {

HWY_EXPORT(fill_dots);

void gemm_fill_dots(DType dtype, GemmKernels& set) { HWY_DYNAMIC_DISPATCH(fill_dots)(dtype, set); }

}  // namespace lazuli::cpu
#endif
