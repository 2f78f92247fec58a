// Declares tiles of products of bf16 by instructions that multiply pairs and add in f32 (AVX-512 BF16).
#pragma once

#include <cstdint>

#include "backend/cpu/gemm/gemm_kernels.h"
#include "lazuli/dtype.h"

namespace lazuli::cpu {

/// A matrix (k, columns) of bf16; one of the strides is 1.
struct PairSource {
  const bf16* values;
  int64_t step, column;  ///< strides along k and from column to column
};

/// Panels are those of f32 in GemmKernels, but each number of 32 bits is a pair of bf16 that follow each other along k, the first one in
/// the lower half: k is half as long, and a last one without a second is a pair with zero.
struct PairKernels {
  /// Packs columns <= 32 as one right panel, zeros beyond the last one.
  void (*pack)(const PairSource& source, int64_t k, int64_t columns, float* panel);
  /// By rows; 32 columns of f32. TileArgs::k counts pairs.
  TileKernel tiles[kMaxTileRows + 1];
};
/// Those of the processor, or what tests have put in their place (emulated.h). Null where there are none.
const PairKernels* pair_kernels();

constexpr int64_t pairs_of(int64_t k) { return (k + 1) / 2; }

}  // namespace lazuli::cpu
