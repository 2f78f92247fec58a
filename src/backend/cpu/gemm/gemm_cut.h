// Defines GemmCut, how a product is computed, and declares the stages that choose that before any run.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "backend/cpu/common/tuning.h"
#include "backend/cpu/gemm/gemm_kernels.h"
#include "backend/cpu/gemm/gemm_pieces.h"
#include "backend/cpu/gemm/gemm_spec.h"
#include "backend/cpu/gemm/matrix_unit.h"
#include "backend/cpu/gemm/onednn.h"

namespace lazuli::cpu {

enum class GemmWay : uint8_t {
  packed,  ///< both sides packed into panels
  direct,  ///< few rows, b row-major: panels of b are read where they are
  dots,    ///< few rows or columns, k contiguous: inner products
  blocks,  ///< the first term by oneDNN, block by block
  limbs,   ///< by the matrix unit
};

/// The blocks of the result that tasks compute.
struct GemmBlocks {
  int64_t group = 1;  ///< matrices of the batch that one task computes
  int64_t rows = 1, columns = 1;
  int64_t row_blocks = 1, column_blocks = 1;  ///< of a matrix
  int64_t neighbours = 1;                     ///< tasks that a run does together where it has them
  int64_t height = 1;                         ///< of left panels
};

/// What is packed once for all tasks.
struct GemmPacking {
  int64_t left_tasks = 0, right_tasks = 0;  ///< of GemmWay::limbs, the former split the shared side
  int64_t rows = 1, columns = kPanel;       ///< of one such task
  int64_t left_start[2] = {}, right_start[2] = {};
  int64_t floats = 0;
};

/// The first term's right side as it lies in memory, where its panels may be kept, and how they are packed.
struct KeptSide {
  PackedWeight::By by = PackedWeight::By::nothing;
  int64_t rows = 0, columns = 0;
};

/// Stages fill it in the order in which they are declared below; afterwards it stays as it is.
struct GemmCut {
  GemmCut(GemmSpec s, const Tuning& t, const GemmKernels& kernels_of_f32) : spec(std::move(s)), tuning(t), f32(kernels_of_f32) {}

  struct Kernels {
    GemmKernels a, b;
  };

  GemmSpec spec;
  Tuning tuning;         ///< that it was made with
  bool swapped = false;  ///< spec is the product of the transposes: the result is stored transposed
  GemmWay way = GemmWay::packed;
  bool is_transposed = false;  ///< spec is the product of the transposes, whose sums are transposed back before they are finished
  std::shared_ptr<const BlockProduct> products[2][2];  ///< of whole and of last rows, of whole and of last columns
  size_t product_scratch = 0;
  const LimbKernels* limbs = nullptr;  ///< of GemmWay::limbs
  std::vector<Kernels> kernels;        ///< of each term
  GemmKernels f32;
  int64_t longest_k = 0, longest_piece = 0;  ///< of the terms from first_in_panels() on
  GemmBlocks blocks;
  GemmPacking packing;
  KeptSide kept;

  double flops() const;
  int64_t tasks() const;
  size_t scratch_bytes() const;
  bool plain() const { return !spec.bias && !spec.residual && !spec.times && spec.activation == nullptr; }
  /// True when sums go straight into the result.
  bool stores_sums() const { return spec.out == DType::f32 && !swapped && !is_transposed && !spec.scaled && plain(); }
  /// The first term whose sums are made of panels; what comes before has been added by other means, and there is no room in scratch to pack
  /// it.
  size_t first_in_panels() const { return way == GemmWay::blocks || is_transposed ? 1 : 0; }
  /// Whether the right side of a term is packed.
  bool packs(size_t term) const { return way == GemmWay::packed || spec.terms[term].b.column != 1; }
  /// Steps of k that one piece of a term has.
  int64_t piece(size_t term) const { return piece_of(spec.terms[term].k, tuning.piece_of_k); }
  /// Of a block, in scratch.
  int64_t left_floats() const { return blocks.rows * (way == GemmWay::dots ? round_up(longest_k, kChunk) : longest_piece); }
  int64_t right_floats() const { return way == GemmWay::dots ? blocks.columns * round_up(longest_k, kChunk) : kPanel * longest_piece; }
  /// Of GemmWay::limbs, the side that all tasks read, as it lies in memory: the left side as given.
  const MatrixLayout& shared_side(size_t term) const { return is_transposed ? spec.terms[term].b : spec.terms[term].a; }
};

namespace gemm {

/// All stages. Throws DTypeError for operands that are not f32, bf16 or f16.
GemmCut choose(GemmSpec spec);
/// The product of the transposes, with the panels that the first term keeps as its left side. Null where it cannot run instead.
std::shared_ptr<const GemmCut> choose_transposed(const GemmCut& straight);

///@{
/// Stages of choose(): packed panels, inner products or panels read where they are; then oneDNN or the matrix unit in place of packed
/// panels.
void choose_way(GemmCut& cut);
void choose_products(GemmCut& cut);
void choose_limbs(GemmCut& cut);
///@}
///@{
/// Kernels and blocks for that way.
void choose_kernels(GemmCut& cut);
void choose_blocks(GemmCut& cut);
void choose_limb_blocks(GemmCut& cut);
///@}
/// What is packed for all tasks.
void choose_packing(GemmCut& cut);
/// Whether panels of the weight may be kept.
void choose_kept(GemmCut& cut);

size_t limb_scratch_bytes(const GemmCut& cut);

}  // namespace gemm
}  // namespace lazuli::cpu
