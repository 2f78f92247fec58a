// Defines Gemm: a batch of matrix products cut into tasks, with what is added to them and applied to them before they are stored.
#pragma once

#include <algorithm>
#include <memory>

#include "backend/cpu/gemm/gemm_cut.h"

namespace lazuli::cpu {

class Gemm {
 public:
  /// Throws DTypeError for operands that are not f32, bf16 or f16.
  explicit Gemm(GemmSpec spec);
  int64_t tasks() const { return std::max(cut_.tasks(), transposed_ ? transposed_->tasks() : 0); }
  size_t thread_scratch_bytes() const { return std::max(cut_.scratch_bytes(), transposed_ ? transposed_->scratch_bytes() : 0); }
  /// Large products pack their operands once for all tasks: pack() must have done all its tasks before run() starts. 0: nothing to do.
  int64_t pack_tasks() const { return std::max(own_pack_tasks(cut_), transposed_ ? own_pack_tasks(*transposed_) : 0); }
  size_t shared_bytes() const {
    return static_cast<size_t>(std::max(cut_.packing.floats, transposed_ ? transposed_->packing.floats : 0)) * sizeof(float);
  }
  void pack(const GemmPointers& given, int64_t begin, int64_t end) const;
  ///@{
  /// The first of pack()'s tasks and the first part of what it fills are of the left side. Two products of one left side can share them.
  int64_t left_pack_tasks() const { return cut_.packing.left_tasks; }
  int64_t shared_left_floats() const;
  bool packs_left_as(const Gemm& other) const;
  ///@}
  /// The weight that is the first term's right side, where its panels can be kept. Null: none.
  PackedWeight* weight_of(const GemmPointers& pointers) const;
  /// Counts the product's rows for the weight. pack() and run() do that in the phase before the one that would fill panels, so that all of
  /// them are filled in one run, but for a product that borrows its left side, which its caller counts in pack().
  void count_rows(const GemmPointers& pointers) const;
  /// Whether it may complete a weight's panels. That must not happen between another product's pack() and run().
  bool takes_turns() const { return cut_.kept.by != PackedWeight::By::nothing; }
  double flops() const { return cut_.flops(); }
  /// Tasks [begin, end); what a task computes does not depend on the others. `scratch`: thread_scratch_bytes().
  void run(const GemmPointers& given, void* scratch, int64_t begin, int64_t end) const;

 private:
  static int64_t own_pack_tasks(const GemmCut& cut) { return cut.packing.left_tasks + cut.packing.right_tasks; }
  /// Whether the transposed product runs instead.
  bool runs_transposed(const PackedWeight* weight) const {
    return transposed_ != nullptr && weight != nullptr && weight->complete() && weight->by() != cut_.kept.by;
  }

  GemmCut cut_;
  std::shared_ptr<const GemmCut> transposed_;  ///< what runs instead over panels packed along the other dim; may be null
};

}  // namespace lazuli::cpu
