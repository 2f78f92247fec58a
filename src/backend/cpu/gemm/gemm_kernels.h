// Defines the building blocks of matrix products: packing into panels, and register-blocked kernels over panels, one set a target.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/cpu/common/thresholds.h"
#include "lazuli/dtype.h"

namespace lazuli::cpu {

/// Columns of a chunk: panels are made of chunks of this width on every target.
inline constexpr int64_t kChunk = 16;
/// Columns of a panel of the right operand.
inline constexpr int64_t kPanel = 2 * kChunk;
/// Upper limit of GemmKernels::max_rows.
inline constexpr int64_t kMaxTileRows = threshold::gemm::kTallestWide;

/// Memory that will be read next, asked for while a tile is computed: rows of `lines` cache lines each.
struct Ahead {
  const std::byte* at = nullptr;
  int64_t lines = 0;      ///< of a row
  int64_t row_bytes = 0;  ///< from one row to the next
  int64_t left = 0;       ///< lines not asked for yet
  int64_t in_row = 0;     ///< lines of the present row that have been
  int64_t at_once = 0;    ///< lines for each chunk of k
  /// Asks for the next `at_once` lines, into the second-level cache.
  void next() {
    int64_t n = at_once < left ? at_once : left;
    left -= n;
    for (; n > 0; --n) {
      __builtin_prefetch(at + in_row * 64, 0, 2);
      if (++in_row == lines) {
        in_row = 0;
        at += row_bytes;
      }
    }
  }
};

/// One tile: c (rows, columns) = [c +] a (rows, k) times b (k, columns). Strides are in elements.
struct TileArgs {
  const float* a;  ///< left panel: k in chunks of 16, each chunk holding its 16 values row after row
  const void* b;   ///< row p of chunk q starts at p * ldb + q * b_chunk
  int64_t ldb, b_chunk;
  float* c;  ///< row i of chunk q starts at i * ldc + q * c_chunk
  int64_t ldc, c_chunk;
  int64_t k;
  bool accumulate;
  Ahead* ahead = nullptr;
  int64_t a_chunk = 0;  ///< of GemmKernels::transposed alone
};
using TileKernel = void (*)(const TileArgs& args);

/// One tile narrower than a chunk: c (rows, n) = [c +] a (rows, k) times b (k, n), n < 16.
using NarrowKernel = void (*)(const TileArgs& args, int64_t n);

/// c (rows, columns) = [c +] x (rows, k) times w (columns, k) transposed; k runs contiguously in x and in w.
struct DotArgs {
  const float* x;
  int64_t ldx;
  const void* w;
  int64_t ldw;
  float* c;
  int64_t ldc;
  int64_t k;
  int64_t rows, columns;
  bool accumulate;
};
using DotKernel = void (*)(const DotArgs& args);

/// A matrix in memory of some dtype; strides in elements.
struct MatrixRef {
  const void* data;
  int64_t row, column;
};
/// Packs (rows, k) as left panels of `height` rows; the last panel is as tall as what is left. A panel of h rows takes h * round_up(k, 16)
/// floats.
using PackLeft = void (*)(const MatrixRef& a, int64_t rows, int64_t k, int64_t height, float* panels);
/// Packs (k, columns), columns <= 32, as one right panel of 32 columns, zeros beyond the last column.
using PackRight = void (*)(const MatrixRef& b, int64_t k, int64_t columns, float* panel);

/// out[c * ldo + r] = in[r * ldi + c] for r < rows, c < columns.
using Transpose = void (*)(const float* in, int64_t ldi, int64_t rows, int64_t columns, float* out, int64_t ldo);

struct GemmKernels {
  int64_t max_rows;                  ///< tallest left panel
  TileKernel one[kMaxTileRows + 1];  ///< by rows; 16 columns of f32
  TileKernel two[kMaxTileRows + 1];  ///< 32 columns of f32
  /// The same with the left side in chunks of 32 steps of k, TileArgs::a_chunk floats apart: rows of right panels, whose columns are summed
  /// over. Of f32 alone.
  TileKernel transposed[kMaxTileRows + 1];
  NarrowKernel narrow[kMaxTileRows + 1];
  DotKernel dot;
  PackLeft pack_left;
  PackRight pack_right;
  Transpose transpose;  ///< of f32 alone
};
// The parts of a set, one source each.
void gemm_fill_tiles_f32(GemmKernels& set);
void gemm_fill_tiles_bf16(GemmKernels& set);
void gemm_fill_tiles_f16(GemmKernels& set);
void gemm_fill_dots(DType dtype, GemmKernels& set);
void gemm_fill_packs(DType dtype, GemmKernels& set);
/// The set for operands of f32, bf16 or f16; panels and sums are f32. Throws DTypeError for others.
GemmKernels gemm_kernels(DType dtype);

}  // namespace lazuli::cpu
