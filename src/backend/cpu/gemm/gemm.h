// Defines Gemm: a batch of matrix products cut into tasks, with what is added to them and applied to them before they are stored.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/common/tuning.h"
#include "backend/cpu/gemm/gemm_kernels.h"
#include "backend/cpu/gemm/gemm_next_panel.h"
#include "backend/cpu/gemm/matrix_unit.h"
#include "backend/cpu/gemm/onednn.h"
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

class Gemm {
 public:
  /// Throws DTypeError for operands that are not f32, bf16 or f16.
  explicit Gemm(GemmSpec spec);
  int64_t tasks() const;
  size_t thread_scratch_bytes() const;
  /// Large products pack their operands once for all tasks: pack() must have done all its tasks before run() starts. 0: nothing to do.
  int64_t pack_tasks() const { return std::max(left_packs_ + right_packs_, transposed_ ? transposed_->pack_tasks() : 0); }
  size_t shared_bytes() const {
    return std::max(static_cast<size_t>(shared_floats_) * sizeof(float), transposed_ ? transposed_->shared_bytes() : 0);
  }
  void pack(const GemmPointers& pointers, int64_t begin, int64_t end) const;
  ///@{
  /// The first of pack()'s tasks and the first part of what it fills are of the left side. Two products of one left side can share them.
  int64_t left_pack_tasks() const { return left_packs_; }
  int64_t shared_left_floats() const;
  bool packs_left_as(const Gemm& other) const;
  ///@}
  /// The weight that is the first term's right side, where its panels can be kept. Null: none.
  PackedWeight* weight_of(const GemmPointers& pointers) const;
  /// Counts the product's rows for the weight. pack() and run() do that in the phase before the one that would fill panels, so that all of
  /// them are filled in one run, but for a product that borrows its left side, which its caller counts in pack().
  void count_rows(const GemmPointers& pointers) const;
  /// Whether it may complete a weight's panels. That must not happen between another product's pack() and run().
  bool takes_turns() const { return by_ != PackedWeight::By::nothing; }
  double flops() const;
  /// Tasks [begin, end); what a task computes does not depend on the others. `scratch`: thread_scratch_bytes().
  void run(const GemmPointers& given, void* scratch, int64_t begin, int64_t end) const;

 private:
  enum class Way : uint8_t {
    packed,  ///< both sides packed into panels
    direct,  ///< few rows, b row-major: panels of b are read where they are
    dots,    ///< few rows or columns, k contiguous: inner products
    blocks,  ///< the first term by oneDNN, block by block
    limbs,   ///< by the matrix unit
  };
  /// Rows and columns of one matrix of the batch that a task computes.
  struct Block {
    int64_t batch, row, rows, column, columns;
  };
  /// f32 values of a block and the distance of its rows.
  struct Sums {
    float* data;
    int64_t ld;
  };
  struct Kernels {
    GemmKernels a, b;
  };
  /// The panels of a PackedWeight that a block reads or fills.
  struct Kept {
    PackedWeight* weight = nullptr;  ///< null: none
    uint64_t claimed = 0;            ///< bit k: the block fills its panel k
  };

  struct TransposedOf {
    const Gemm& straight;
  };
  /// The transpose, with the panels that the first term keeps as its left side.
  explicit Gemm(const TransposedOf& of);
  void choose_kept();
  void choose_transposed_blocks();
  /// Whether the transposed product runs instead.
  bool runs_transposed(const PackedWeight* weight) const {
    return transposed_ != nullptr && weight != nullptr && weight->complete() && weight->by() != by_;
  }
  static GemmPointers transposed(GemmPointers pointers);
  void run_tasks(const GemmPointers& pointers, PackedWeight* weight, float* scratch, int64_t begin, int64_t end) const;
  void pack_straight(const GemmPointers& pointers, PackedWeight* weight, int64_t begin, int64_t end) const;
  int64_t straight_tasks() const;
  Kept claim_panels(const GemmPointers& pointers, PackedWeight* weight, const Block& block) const;
  static void panels_done(const GemmPointers& pointers, const Kept& kept, const Block& block);
  void run_transposed(const GemmPointers& pointers, const PackedWeight& weight, const Sums& sums, const Block& block) const;
  void finish_transposed(const GemmPointers& pointers, const Sums& sums, float* rows, const Block& block) const;

  void choose_way();
  void choose_limbs();
  void choose_limb_blocks();
  /// As it lies in memory: the left side as given.
  const MatrixLayout& shared_side(size_t term) const;
  std::byte* shared_limbs(const GemmPointers& pointers, size_t term, int64_t first_k, int64_t line) const;
  size_t limb_scratch_bytes() const;
  void split_shared(const GemmPointers& pointers, int64_t task) const;
  Ahead next_to_split(const GemmPointers& pointers, size_t term, const Block& block, int64_t next_k) const;
  void run_limbs(const GemmPointers& pointers, float* scratch, const Block& block) const;
  void mend(const GemmPointers& pointers, const Sums& sums, const Block& block) const;
  /// Tries Way::blocks.
  void choose_products();
  void choose_blocks();
  void choose_shared();
  void run_tiles(const GemmPointers& pointers, PackedWeight* weight, float* scratch, const Block& block, NextPanel& next) const;
  NextPanel::Source panel_at(const GemmPointers& pointers, const Kept& kept, size_t term, const Block& block, int64_t first_k,
                             int64_t column) const;
  const float* take_panel(const GemmPointers& pointers, const Kept& kept, NextPanel& next, size_t term, const Block& block, int64_t first_k,
                          int64_t column, float* packed) const;
  void run_panel(size_t term, bool packed, TileArgs tile, const Block& block, int64_t columns, NextPanel& next) const;
  void run_dots(const GemmPointers& pointers, float* scratch, const Block& block) const;
  /// True when sums go straight into the result.
  bool stores_sums() const { return spec_.out == DType::f32 && !swapped_ && !is_transposed_ && !spec_.scaled && plain(); }
  bool plain() const { return !spec_.bias && !spec_.residual && !spec_.times && spec_.activation == nullptr; }
  /// The first term whose sums are made of panels by run_tiles(); what comes before has been added by other means, and there is no room in
  /// scratch to pack it.
  size_t first_in_panels() const { return way_ == Way::blocks || is_transposed_ ? 1 : 0; }
  void measure_terms();
  /// Whether the right side of a term is packed.
  bool packs(size_t term) const { return way_ == Way::packed || spec_.terms[term].b.column != 1; }
  Sums sums_in_result(const GemmPointers& pointers, const Block& block) const;
  void finish(const GemmPointers& pointers, const Sums& sums, const Block& block) const;
  void finish_row(const GemmPointers& pointers, float* sums, const Block& block, int64_t row) const;
  void scatter_column(const GemmPointers& pointers, const float* sums, const Block& block, int64_t row) const;
  MatrixRef left(const GemmPointers& pointers, size_t term, const Block& block, int64_t first_k) const;
  MatrixRef right(const GemmPointers& pointers, size_t term, const Block& block, int64_t first_k, int64_t first_column) const;
  /// Where pack() puts a piece of k: rows from `row` on, and the panel that starts with `column`.
  float* shared_left(const GemmPointers& pointers, size_t term, int64_t first_k, int64_t row) const;
  float* shared_right(const GemmPointers& pointers, size_t term, int64_t first_k, int64_t column) const;
  int64_t left_floats() const;
  int64_t right_floats() const;

  GemmSpec spec_;
  Tuning tuning_;         ///< that it was made with
  bool swapped_ = false;  ///< spec_ is the product of the transposes: the result is stored transposed
  Way way_ = Way::packed;
  int64_t group_ = 1;  ///< matrices of the batch that one task computes
  int64_t block_rows_ = 1, block_columns_ = 1;
  int64_t row_blocks_ = 1, column_blocks_ = 1;
  int64_t neighbours_ = 1;                              ///< tasks that run() does together where it has them
  int64_t height_ = 1;                                  ///< of left panels
  int64_t longest_k_ = 0, longest_piece_ = 0;           ///< of the terms from first_in_panels() on
  std::vector<Kernels> kernels_;                        ///< of each term
  std::shared_ptr<const BlockProduct> products_[2][2];  ///< of whole and of last rows, of whole and of last columns
  size_t product_scratch_ = 0;
  int64_t left_packs_ = 0, right_packs_ = 0;       ///< tasks of pack(); of Way::limbs, the former split the shared side
  int64_t pack_rows_ = 1, pack_columns_ = kPanel;  ///< of one such task
  int64_t left_start_[2] = {}, right_start_[2] = {};
  int64_t shared_floats_ = 0;
  GemmKernels f32_;
  const LimbKernels* limbs_ = nullptr;               ///< of Way::limbs
  PackedWeight::By by_ = PackedWeight::By::nothing;  ///< how it packs the first term's right side, where that may be kept
  int64_t weight_rows_ = 0, weight_columns_ = 0;     ///< of that side as it lies in memory
  bool is_transposed_ = false;  ///< spec_ is the product of the transposes, whose sums are transposed back before they are finished
  std::shared_ptr<const Gemm> transposed_;
};

}  // namespace lazuli::cpu
