// Declares products on the processor's matrix unit (AMX), which multiplies bf16 and adds in f32: an f32 is the exact sum of three bf16, its
// limbs, and the product of two f32 is the sum of the six largest products of their limbs, which leaves out less than f32 rounds.
// Source of the method: Henry, Tang and Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype For Higher-Precision
// Computations" (2019).
#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/cpu/gemm/gemm_kernels.h"

namespace lazuli::cpu {

/// Whether this processor has one that the system lets the process use. The first call asks for that.
bool has_matrix_unit();

inline constexpr int64_t kUnitRows = 16;   ///< rows of a tile, or columns of one of the right side
inline constexpr int64_t kUnitSteps = 32;  ///< steps of k in a tile
inline constexpr int64_t kUnitBytes = kUnitRows * kUnitSteps * 2;
/// Products are made of so many rows and columns at once.
inline constexpr int64_t kUnitBlock = 2 * kUnitRows;

/// bf16 that a value is the sum of: three for f32, two for f16, one for bf16.
constexpr int limbs_of(DType dtype) { return dtype == DType::f32 ? 3 : dtype == DType::f16 ? 2 : 1; }
/// The limbs of `groups` of 16 rows (columns) and k steps.
inline size_t limb_bytes(int limbs, int64_t groups, int64_t k) {
  return static_cast<size_t>(groups * ((k + kUnitSteps - 1) / kUnitSteps) * limbs * kUnitBytes);
}

/// One side of a product in memory; one of the strides is 1.
struct LimbSource {
  const void* values;
  DType dtype;
  int64_t line;  ///< stride from row to row of a left side, from column to column of a right side; in elements
  int64_t step;  ///< stride along k
};
/// c (rows, columns) = [c +] a (rows, k) times b (k, columns); both counts are multiples of kUnitBlock.
struct LimbProduct {
  const std::byte *a, *b;  ///< from LimbKernels::split
  int a_limbs, b_limbs;
  int64_t rows, columns, k;
  float* c;
  int64_t ldc;
  bool accumulate;
  Ahead* ahead = nullptr;  ///< asked for meanwhile, for each tile of k of each kUnitBlock square; may be null
};

struct LimbKernels {
  /// Splits `lines` rows of a left side, or columns of a right side, and k steps. Tiles lie in order of line, k and limb; tiles of 16 lines
  /// each, zeros beyond k and nothing of use beyond the last line.
  void (*split)(const LimbSource& source, bool right, int64_t lines, int64_t k, std::byte* tiles);
  void (*multiply)(const LimbProduct& product);
  /// GemmKernels::transpose, in larger squares.
  Transpose transpose;
  /// Whether there is a NaN among them.
  bool (*any_nan)(const float* values, int64_t ld, int64_t rows, int64_t columns);
};
/// Those of the unit, or what tests have put in their place (emulated.h). Null where there is none.
const LimbKernels* limb_kernels();

}  // namespace lazuli::cpu
