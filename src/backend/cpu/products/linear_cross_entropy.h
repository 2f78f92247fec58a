// Defines how linear_cross_entropy is cut into tasks and what each of them leaves in scratch memory.
#pragma once

#include <cmath>
#include <optional>

#include "backend/cpu/gemm/gemm_op.h"
#include "backend/cpu/tiles/rows.h"
#include "graph/ops/linear_cross_entropy.h"

namespace lazuli::cpu {

/// Stores exp(x - top) for n values (out may be x, or null) and returns their sum.
using ExpSumFn = float (*)(const float* x, float* out, int64_t n, float top);
/// y += a x.
using AddScaledFn = void (*)(const float* x, float a, float* y, int64_t n);
/// x becomes cap * tanh(x / cap), n values; `slopes` gets what that does to a gradient, 1 - (x / cap)^2, unless it is null.
using CapFn = void (*)(float* x, float* slopes, int64_t n, float cap);
/// y *= x.
using MultiplyFn = void (*)(const float* x, float* y, int64_t n);
struct LossLoops {
  ExpSumFn exp_sum;
  CapFn cap;
  MultiplyFn multiply;
  AddScaledFn add_scaled;
};
LossLoops loss_loops();

/// A task takes a block of rows and a segment of the columns, and goes through the latter in chunks whose logits stay in a cache.
struct LossCut {
  LossCut(int64_t rows, int64_t k, int64_t classes, bool gradient);
  int64_t rows, k, classes;
  int64_t block, blocks;      ///< rows of a block, and how many there are
  int64_t chunk;              ///< columns
  int64_t segment, segments;  ///< columns of a segment, a multiple of the chunk
  int64_t tasks() const { return blocks * segments; }
  int64_t rows_of(int64_t b) const { return std::min(block, rows - b * block); }
};

/// What a segment knows of a row. Sums are relative to exp(top).
struct RowPart {
  float top;
  float hit;  ///< the target's logit, where it lies in the segment
  double sum;
  double all;  ///< of the logits themselves
};

/// Everything that the two phases share.
struct LossState {
  LossState(const KernelRequest& request, bool wants_gradient);
  void run_task(const KernelArgs& args, int64_t task) const;
  void finish_row(const KernelArgs& args, int64_t r) const;
  bool needs_copy() const { return x.needs_copy; }

  /// -1 for an ignored row; throws ValueError for a class that there is not.
  int64_t target(const KernelArgs& args, int64_t r) const;
  RowPart* parts(const KernelArgs& args, int64_t b, int64_t s) const {
    return reinterpret_cast<RowPart*>(at(args.scratch, 0)) + (b * cut.segments + s) * cut.block;
  }
  /// Sums of exp(logit - top) times the class's row of w.
  float* sums(const KernelArgs& args, int64_t b, int64_t s) const {
    return reinterpret_cast<float*>(at(args.scratch, sums_at)) + (b * cut.segments + s) * round_to_line(cut.block * cut.k);
  }
  /// Sum over the rows of w in a segment.
  float* totals(const KernelArgs& args, int64_t s) const {
    return reinterpret_cast<float*>(at(args.scratch, totals_at)) + s * round_to_line(cut.k);
  }
  /// With a cap: sums of its slopes times the class's row of w, where others have totals.
  float* slope_sums(const KernelArgs& args, int64_t b, int64_t s) const {
    return reinterpret_cast<float*>(at(args.scratch, totals_at)) + (b * cut.segments + s) * round_to_line(cut.block * cut.k);
  }
  /// Whose panels products with w may read and keep; null: none.
  PackedWeight* weight_of(const KernelArgs& args) const;
  static std::byte* at(void* base, size_t offset) { return static_cast<std::byte*>(base) + offset; }
  static int64_t round_to_line(int64_t floats) { return (floats + 15) / 16 * 16; }

  RowsOf x;
  MatrixLayout w;  ///< as (k, classes)
  DType target_type, smoothing_type;
  StridedView targets;
  int64_t ignore;
  bool gradient;
  std::optional<DType> cap_type;  ///< nothing: logits are not capped
  LossCut cut;
  /// By whether the rows and the columns are the last, fewer ones.
  std::optional<Gemm> logits[2][2], back[2][2], total[2];
  LossLoops loops;
  size_t sums_at = 0, totals_at = 0, scratch_bytes = 0;
  size_t shared_at = 0, gemm_at = 0, ones_at = 0, slopes_at = 0, task_bytes = 0;  ///< thread scratch of a task; the logits come first
  RowWriter out;
  size_t line_at = 0, row_bytes = 0;  ///< thread scratch of finish_row

 private:
  void plan_products();
  void multiply(const Gemm& gemm, GemmPointers pointers, const KernelArgs& args) const;
  void update_row(RowPart& part, float* row, int64_t width, float* acc, bool smooth) const;
  /// 0: there is none.
  float cap(const KernelArgs& args) const {
    return cap_type ? static_cast<float>(factor(args.in[operand::linear_cross_entropy::softcap], *cap_type)) : 0.0F;
  }
  /// The largest score and the sum of exponentials of a row, and its target with what a cap does to that one's gradient.
  struct RowResult {
    int64_t label;
    float top;
    double sum;
    float hit_slope;
  };
  void finish_gradient(const KernelArgs& args, int64_t r, const RowResult& row, float smoothing) const;
  void load_class(const KernelArgs& args, int64_t j, float* line) const;
};

}  // namespace lazuli::cpu
