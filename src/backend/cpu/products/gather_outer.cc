// Sums of outer products by expert. A task is a block of one expert's result, which it makes of the rows that chose it, piece by piece.
#include "graph/ops/gather_outer.h"

#include <algorithm>

#include "backend/cpu/gemm/gemm_kernels.h"
#include "backend/cpu/gemm/gemm_pieces.h"
#include "backend/cpu/products/expert_rows.h"
#include "backend/cpu/tiles/tile.h"

namespace lazuli::cpu {

namespace {

using threshold::experts::kOuterColumns;
using threshold::experts::kOuterPiece;
using threshold::experts::kOuterRows;
static_assert(kOuterColumns % kPanel == 0 && kOuterPiece % kChunk == 0);

struct OuterRows {
  ExpertRows rows;
  OperandSpec a, b;
  DType dtype;
  GemmKernels f32;
  int64_t m() const { return a.shape[2]; }
  int64_t n() const { return b.shape[2]; }
  int64_t row_blocks() const { return divide_up(m(), kOuterRows); }
  int64_t column_blocks() const { return divide_up(n(), kOuterColumns); }
  int64_t tasks() const { return rows.experts * row_blocks() * column_blocks(); }
  static size_t thread_scratch_floats() { return kOuterRows * kOuterColumns + kOuterPiece * kOuterColumns + 2 * kOuterPiece * kOuterRows; }

  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    const ExpertRows::View view = rows.view(args.scratch);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t expert = task / column_blocks() / row_blocks();
      Block block{task / column_blocks() % row_blocks() * kOuterRows, 0, task % column_blocks() * kOuterColumns, 0};
      block.rows = std::min(kOuterRows, m() - block.row);
      block.columns = std::min(kOuterColumns, n() - block.column);
      auto* const sums = static_cast<float*>(args.thread_scratch);
      std::fill_n(sums, kOuterRows * kOuterColumns, 0.0F);
      for (int64_t at = view.starts[expert]; at < view.starts[expert + 1]; at += kOuterPiece) {
        add_piece(args, block, view.order + at, std::min<int64_t>(kOuterPiece, view.starts[expert + 1] - at), sums);
      }
      store(args, expert, block, sums);
    }
  }

 private:
  /// Rows and columns of the result.
  struct Block {
    int64_t row, rows, column, columns;
  };
  const void* from(const void* data, const OperandSpec& x, int64_t slot, int64_t first) const {
    const int64_t at = ExpertRows::row_at(x, slot, rows.each) + first;
    return static_cast<const std::byte*>(data) + at * static_cast<int64_t>(size_of(dtype));
  }
  /// Adds the products of `count` rows.
  void add_piece(const KernelArgs& args, const Block& block, const int32_t* order, int64_t count, float* sums) const {
    const TileLoad load = tile_load(dtype);
    float* const right = sums + kOuterRows * kOuterColumns;
    float* const left = right + kOuterPiece * kOuterColumns;
    float* const panels = left + kOuterPiece * kOuterRows;
    for (int64_t p = 0; p < count; ++p) {
      load(from(args.in[0], a, order[p], block.row), left + p * block.rows, block.rows);
      float* const line = right + p * kOuterColumns;
      load(from(args.in[operand::gather_outer::b], b, order[p], block.column), line, block.columns);
      std::fill(line + block.columns, line + kOuterColumns, 0.0F);
    }
    const int64_t height = divide_up(block.rows, divide_up(block.rows, f32.max_rows));
    f32.pack_left({left, 1, block.rows}, block.rows, count, height, panels);
    for (int64_t j = 0; j < block.columns; j += kPanel) {
      for (int64_t i = 0; i < block.rows; i += height) {
        const TileArgs tile{panels + i * round_up(count, kChunk),
                            right + j,
                            kOuterColumns,
                            kChunk,
                            sums + i * kOuterColumns + j,
                            kOuterColumns,
                            kChunk,
                            count,
                            true};
        f32.two[std::min(height, block.rows - i)](tile);
      }
    }
  }
  void store(const KernelArgs& args, int64_t expert, const Block& block, const float* sums) const {
    const TileStore to = tile_store(dtype);
    for (int64_t i = 0; i < block.rows; ++i) {
      const int64_t at = (expert * m() + block.row + i) * n() + block.column;
      to(sums + i * kOuterColumns, static_cast<std::byte*>(args.out[0]) + at * static_cast<int64_t>(size_of(dtype)), block.columns);
    }
  }
};

}  // namespace

PreparedOp prepare_gather_outer(const KernelRequest& request) {
  namespace in = operand::gather_outer;
  if (has_f64(request)) return reference_backend().prepare(request);
  const OperandSpec &a = request.inputs[in::a], &b = request.inputs[in::b], &chosen = request.inputs[in::chosen];
  const int64_t experts = request.attrs[attr::gather_outer::experts];
  const OuterRows outer{{request.op, chosen.shape[0], chosen.shape[1], experts}, a, b, a.dtype, gemm_kernels(DType::f32)};
  PreparedOp op;
  op.name = "gather_outer";
  op.bytes = bytes_of(request);
  op.flops = 2 * static_cast<double>(outer.rows.slots()) * static_cast<double>(outer.m()) * static_cast<double>(outer.n());
  for (const size_t k : {in::a, in::b}) {
    const OperandSpec& x = request.inputs[k];
    if (x.shape[2] > 1 && x.strides[2] != 1) op.needs_contiguous |= 1u << k;
  }
  if (!chosen.contiguous) op.needs_contiguous |= 1u << in::chosen;
  op.scratch_bytes = outer.rows.bytes();
  op.thread_scratch_bytes = OuterRows::thread_scratch_floats() * sizeof(float);
  const int64_t tasks = outer.tasks();
  op.phases.push_back(make_kernel(SortRows{outer.rows, in::chosen}, tasks == 0 ? 0 : 1));
  op.phases.push_back(make_kernel(outer, tasks));
  return op;
}

}  // namespace lazuli::cpu
