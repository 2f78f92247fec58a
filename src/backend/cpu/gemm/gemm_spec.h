// Defines GemmSpec, a batch of matrix products with what is added to them and applied to them, and GemmPointers, the operands of one run.
#pragma once

#include <utility>
#include <vector>

#include "backend/cpu/gemm/packed_weight.h"
#include "backend/cpu/tiles/tile.h"

namespace lazuli::cpu {

/// How a matrix lies in memory; strides in elements.
struct MatrixLayout {
  DType dtype = DType::f32;
  int64_t row = 0, column = 1;
  MatrixLayout transposed() const { return {dtype, column, row}; }
};

/// One product of a sum of products: a (m, k) times b (k, n).
struct GemmTerm {
  MatrixLayout a, b;
  int64_t k = 0;
};

/// result[i] = act((factor * sum of terms + bias + residual) * times) for each matrix of a batch. Sums are f32 and rounded once.
struct GemmSpec {
  int64_t m = 0, n = 0;
  std::vector<GemmTerm> terms;                            ///< one or two
  std::vector<int64_t> a_offsets = {0}, b_offsets = {0};  ///< where each matrix of the batch starts in the operands of the first term
  DType out = DType::f32;                                 ///< row-major
  bool scaled = false;                                    ///< by GemmPointers::factor
  bool bias = false;                                      ///< n values, dtype of out
  bool residual = false;                                  ///< laid out as the result, dtype of out
  bool times = false;                                     ///< laid out as the result, dtype of out; may be the result itself
  TileFn activation = nullptr;
  bool keeps_panels = false;  ///< the first term's right side may be a PackedWeight, whose panels are then read and kept
  bool transposes = false;    ///< also as the left side of the transposed product, where its panels suit that
};

struct GemmPointers {
  const void* a[2];
  const void* b[2];
  void* out;
  const void* bias;
  const void* residual;
  const void* times;
  float factor;
  float* shared;          ///< shared_bytes(), 64-byte aligned
  float* left = nullptr;  ///< left sides as a product that packs_left_as this one packed them, in place of those in `shared`
  ///@{
  /// What Gemm::weight_of found, the same in pack() and run(); or a weight of which the first term's right side is a part, from that panel
  /// on, whose rows the caller counts.
  PackedWeight* weight = nullptr;
  bool is_part = false;
  int64_t first_panel = 0;
  ///@}
  /// For the product of the transposes.
  void swap_sides() {
    for (int t = 0; t < 2; ++t) std::swap(a[t], b[t]);
  }
};

}  // namespace lazuli::cpu
