// Declares the stages of a run of a product: packing for all tasks, the sums of a block, and what finishes them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/cpu/gemm/gemm_cut.h"

namespace lazuli::cpu::gemm {

/// Rows and columns of one matrix of the batch that a task computes.
struct Block {
  int64_t batch, row, rows, column, columns;
};
/// f32 values of a block and the distance of its rows.
struct Sums {
  float* data;
  int64_t ld;
};
/// The panels of a PackedWeight that a block reads or fills.
struct Kept {
  PackedWeight* weight = nullptr;  ///< null: none
  uint64_t claimed = 0;            ///< bit k: the block fills its panel k
};

inline const std::byte* advance(const void* data, DType dtype, int64_t elements) {
  return static_cast<const std::byte*>(data) + elements * static_cast<int64_t>(size_of(dtype));
}
/// The block's rows of a term, from a step of k on.
inline MatrixRef left(const GemmCut& cut, const GemmPointers& pointers, size_t term, const Block& block, int64_t first_k) {
  const MatrixLayout& a = cut.spec.terms[term].a;
  const int64_t batch = term == 0 ? cut.spec.a_offsets[static_cast<size_t>(block.batch)] : 0;
  return {advance(pointers.a[term], a.dtype, batch + block.row * a.row + first_k * a.column), a.row, a.column};
}
/// Its columns, from one of them on.
inline MatrixRef right(const GemmCut& cut, const GemmPointers& pointers, size_t term, const Block& block, int64_t first_k,
                       int64_t first_column) {
  const MatrixLayout& b = cut.spec.terms[term].b;
  const int64_t batch = term == 0 ? cut.spec.b_offsets[static_cast<size_t>(block.batch)] : 0;
  return {advance(pointers.b[term], b.dtype, batch + first_k * b.row + (block.column + first_column) * b.column), b.row, b.column};
}
inline Sums sums_in_result(const GemmCut& cut, const GemmPointers& pointers, const Block& block) {
  return {static_cast<float*>(pointers.out) + (block.batch * cut.spec.m + block.row) * cut.spec.n + block.column, cut.spec.n};
}

///@{
/// Packing. A panel of `weight` that is done is not packed again; one that nobody fills is filled instead of packed.
void pack_panels(const GemmCut& cut, const GemmPointers& pointers, PackedWeight* weight, int64_t begin, int64_t end);
void split_shared(const GemmCut& cut, const GemmPointers& pointers, int64_t begin, int64_t end);
/// Where a piece of k is: rows from `row` on, and the panel that starts with `column`.
float* shared_left(const GemmCut& cut, const GemmPointers& pointers, size_t term, int64_t first_k, int64_t row);
float* shared_right(const GemmCut& cut, const GemmPointers& pointers, size_t term, int64_t first_k, int64_t column);
///@}

///@{
/// Sums of blocks, finished: tasks [begin, end), each of which takes one of the ways below.
void run_tasks(const GemmCut& cut, const GemmPointers& pointers, PackedWeight* weight, float* scratch, int64_t begin, int64_t end);
void run_limbs(const GemmCut& cut, const GemmPointers& pointers, float* scratch, const Block& block);
/// The first term of the transposed product, whose left side are panels that are kept.
void run_transposed(const GemmCut& cut, const GemmPointers& pointers, const PackedWeight& weight, const Sums& sums, const Block& block);
/// The panels that the block will fill: those that nobody has filled.
Kept claim_panels(const GemmCut& cut, const GemmPointers& pointers, PackedWeight* weight, const Block& block);
void panels_done(const GemmPointers& pointers, const Kept& kept, const Block& block);
///@}

///@{
/// Bias, residual, activation and rounding of a block's sums. `rows`: room for kChunk rows of the result.
void finish(const GemmCut& cut, const GemmPointers& pointers, const Sums& sums, const Block& block);
void finish_transposed(const GemmCut& cut, const GemmPointers& pointers, const Sums& sums, float* rows, const Block& block);
///@}

}  // namespace lazuli::cpu::gemm
