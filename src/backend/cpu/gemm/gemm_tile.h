// Defines outer-product kernels of matrix products, compiled once a target. Sums run over k in order, in parts of kPart terms that are then
// added, so they do not depend on how a product is cut into tiles, and their rounding errors grow with the part and the number of parts,
// not with k.
#if defined(LAZULI_BACKEND_CPU_GEMM_GEMM_TILE_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LAZULI_BACKEND_CPU_GEMM_GEMM_TILE_H_
#undef LAZULI_BACKEND_CPU_GEMM_GEMM_TILE_H_
#else
#define LAZULI_BACKEND_CPU_GEMM_GEMM_TILE_H_
#endif

#include <algorithm>
#include <type_traits>
#include <utility>

#include "backend/cpu/gemm/gemm_simd.h"

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu {
namespace HWY_NAMESPACE {
namespace {

constexpr int64_t kPart = threshold::gemm::kPart;
static_assert(kPart % kChunk == 0);
// Rows of a panel, which is larger than the first-level cache, that are asked for before they are used.
constexpr int64_t kRowsAhead = 8;

/// kRows by kVectors vectors of the tile, from vector `first` on. kLeft: steps of k in a chunk of the left side.
template <int kRows, int kVectors, class T, int kLeft = kChunk>
HWY_INLINE void tile_vectors(const TileArgs& t, int first) {
  const T* b[kVectors];
  float* c[kVectors];
  VF sum[kRows][kVectors];
  LAZULI_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    const int chunk = (first + v) / kChunkVectors, lane = (first + v) % kChunkVectors * kLanes;
    b[v] = static_cast<const T*>(t.b) + chunk * t.b_chunk + lane;
    c[v] = t.c + chunk * t.c_chunk + lane;
  }
  const float* a = t.a;
  for (int64_t part = 0; part == 0 || part < t.k; part += kPart) {
    LAZULI_UNROLL
    for (int i = 0; i < kRows; ++i) {
      LAZULI_UNROLL
      for (int v = 0; v < kVectors; ++v) sum[i][v] = zero();
    }
    const int64_t end = std::min(part + kPart, t.k);
    for (int64_t p = part; p < end; p += kChunk) {
      const int64_t steps = std::min(kChunk, end - p);
      if (t.ahead != nullptr) t.ahead->next();
      for (int64_t j = 0; j < steps; ++j) {
        VF row[kVectors];
        LAZULI_UNROLL
        for (int v = 0; v < kVectors; ++v) {
          row[v] = load(b[v]);
          if (kRows >= 6) __builtin_prefetch(b[v] + kRowsAhead * t.ldb, 0, 3);
          b[v] += t.ldb;
        }
        LAZULI_UNROLL
        for (int i = 0; i < kRows; ++i) {
          const VF x = splat(a[i * kLeft + j]);
          LAZULI_UNROLL
          for (int v = 0; v < kVectors; ++v) sum[i][v] = hn::MulAdd(x, row[v], sum[i][v]);
        }
        // Rows of the next tile, which follow these.
        if (kLeft != kChunk && j < kRows) __builtin_prefetch(a + (kRows + j) * kLeft, 0, 3);
      }
      if constexpr (kLeft == kChunk) {
        a += kRows * kChunk;
      } else {
        a += (p / kChunk % 2 == 0) ? kChunk : t.a_chunk - kChunk;
      }
    }
    if (t.accumulate || part > 0) {
      LAZULI_UNROLL
      for (int i = 0; i < kRows; ++i) {
        LAZULI_UNROLL
        for (int v = 0; v < kVectors; ++v) sum[i][v] = hn::Add(load(c[v] + i * t.ldc), sum[i][v]);
      }
    }
    LAZULI_UNROLL
    for (int i = 0; i < kRows; ++i) {
      LAZULI_UNROLL
      for (int v = 0; v < kVectors; ++v) store(sum[i][v], c[v] + i * t.ldc);
    }
  }
}

template <int kRows, int kVectors, class T, int kLeft = kChunk>
void tile(const TileArgs& t) {
  constexpr int kAtOnce = kRows * kVectors <= kAccumulators ? kVectors : std::max(kAccumulators / kRows / kChunkVectors * kChunkVectors, 1);
  if constexpr (kVectors / kAtOnce > 4) {
    // Scalars: 32 copies of the loop would only take the compiler longer than all of the vector targets.
    for (int first = 0; first < kVectors; first += kAtOnce) tile_vectors<kRows, kAtOnce, T, kLeft>(t, first);
  } else {
    LAZULI_UNROLL
    for (int first = 0; first < kVectors; first += kAtOnce) tile_vectors<kRows, kAtOnce, T, kLeft>(t, first);
  }
}

/// The last columns of a result, n < 16. Few rows get more than one sum each, over every fourth k, to hide the latency of adding.
template <int kRows, class T>
void narrow(const TileArgs& t, int64_t n) {
  constexpr int kSums = kRows <= 3 ? 4 : 1;
  for (int64_t at = 0; at < n; at += kLanes) {
    const int64_t width = std::min<int64_t>(kLanes, n - at);
    const float* a = t.a;
    const T* b = static_cast<const T*>(t.b) + at;
    for (int64_t part = 0; part == 0 || part < t.k; part += kPart) {
      VF sum[kRows][kSums];
      LAZULI_UNROLL
      for (int i = 0; i < kRows; ++i) {
        LAZULI_UNROLL
        for (int s = 0; s < kSums; ++s) sum[i][s] = zero();
      }
      const int64_t end = std::min(part + kPart, t.k);
      for (int64_t p = part; p < end; p += kChunk) {
        const int64_t steps = std::min(kChunk, end - p);
        int64_t j = 0;
        for (; j + kSums <= steps; j += kSums) {
          LAZULI_UNROLL
          for (int s = 0; s < kSums; ++s) {
            const VF row = width == kLanes ? load(b) : load_n(b, width);
            LAZULI_UNROLL
            for (int i = 0; i < kRows; ++i) sum[i][s] = hn::MulAdd(splat(a[i * kChunk + j + s]), row, sum[i][s]);
            b += t.ldb;
          }
        }
        for (; j < steps; ++j) {
          const VF row = width == kLanes ? load(b) : load_n(b, width);
          LAZULI_UNROLL
          for (int i = 0; i < kRows; ++i) sum[i][0] = hn::MulAdd(splat(a[i * kChunk + j]), row, sum[i][0]);
          b += t.ldb;
        }
        a += kRows * kChunk;
      }
      LAZULI_UNROLL
      for (int i = 0; i < kRows; ++i) {
        VF total = sum[i][0];
        if constexpr (kSums == 4) total = hn::Add(hn::Add(sum[i][0], sum[i][1]), hn::Add(sum[i][2], sum[i][3]));
        float* c = t.c + i * t.ldc + at;
        if (t.accumulate || part > 0) total = hn::Add(width == kLanes ? load(c) : load_n(c, width), total);
        if (width == kLanes) {
          store(total, c);
        } else {
          store_n(total, c, width);
        }
      }
    }
  }
}

template <class T, int... kRow>
void fill_rows(GemmKernels& set, std::integer_sequence<int, kRow...>) {
  ((set.one[kRow + 1] = tile<kRow + 1, kChunkVectors, T>), ...);
  ((set.two[kRow + 1] = tile<kRow + 1, 2 * kChunkVectors, T>), ...);
  ((set.narrow[kRow + 1] = narrow<kRow + 1, T>), ...);
  if constexpr (std::is_same_v<T, float>) ((set.transposed[kRow + 1] = tile<kRow + 1, 2 * kChunkVectors, T, kPanel>), ...);
}
template <class T>
void fill_tiles(GemmKernels& set) {
  set.max_rows = kTallest;
  fill_rows<T>(set, std::make_integer_sequence<int, kTallest>());
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lazuli::cpu
HWY_AFTER_NAMESPACE();

#endif
