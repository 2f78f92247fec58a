// Products of rows with the matrices that they chose. The rows of an expert are packed one after the other, so that its matrix is read once
// for all of them: by inner products where they are few, else panel by panel; those of bf16 in pairs
// where the processor multiplies pairs.
#include "graph/ops/gather_matmul.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/gemm/gemm_kernels.h"
#include "backend/cpu/gemm/gemm_pieces.h"
#include "backend/cpu/gemm/pair_tiles.h"
#include "backend/cpu/products/expert_rows.h"
#include "backend/cpu/tiles/tile.h"

namespace lazuli::cpu {

namespace {

using threshold::experts::kFewRows;
using threshold::experts::kPackedRows;
using threshold::experts::kTaskBytes;

const std::byte* element_of(const void* data, DType dtype, int64_t at) {
  return static_cast<const std::byte*>(data) + at * static_cast<int64_t>(size_of(dtype));
}

/// What the phases know of the product.
struct Grouped {
  ExpertRows rows;
  OperandSpec x;
  DType dtype;
  int64_t k, n, expert_stride, column_stride, depth_stride;  ///< strides of w
  int64_t columns, column_blocks;                            ///< of a task
  GemmKernels f32, own;
  const PairKernels* pairs;  ///< of bf16 where the processor has them, or null

  bool dots(int64_t count) const { return depth_stride == 1 && count <= kFewRows; }
  /// Of the panels of an expert with so many rows.
  int64_t height(int64_t count) const { return dots(count) ? 1 : divide_up(count, divide_up(count, f32.max_rows)); }
  int64_t depth() const { return round_up(k, kChunk); }
  bool in_pairs(int64_t count) const { return pairs != nullptr && !dots(count); }
  /// Floats of a row in the panels of an expert with so many rows: no more than depth().
  int64_t row_floats(int64_t count) const { return in_pairs(count) ? round_up(pairs_of(k), kChunk) : depth(); }
  float* panels(const KernelArgs& args) const { return reinterpret_cast<float*>(static_cast<std::byte*>(args.scratch) + rows.bytes()); }
  int64_t panel_floats() const { return rows.slots() * depth(); }
};

/// Packs rows in the order of their experts. A task is a run of them.
struct PackRows {
  std::shared_ptr<const Grouped> of;
  int64_t tasks() const { return divide_up(of->rows.slots(), kPackedRows); }
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    const ExpertRows::View view = of->rows.view(args.scratch);
    const int64_t last = std::min(end * kPackedRows, of->rows.slots());
    const int32_t* const starts_end = view.starts + of->rows.experts + 1;
    for (int64_t at = begin * kPackedRows; at < last; ++at) {
      // The last start that is not after it: experts without rows share theirs with the next one.
      const int32_t* const group = std::upper_bound(view.starts, starts_end, static_cast<int32_t>(at)) - 1;
      pack(args, view.order[at], group[0], group[1] - group[0], at - group[0]);
    }
  }

 private:
  void pack(const KernelArgs& args, int64_t slot, int64_t start, int64_t count, int64_t row) const {
    const int64_t k = of->k, depth = of->depth(), height = of->height(count), first = row / height * height;
    const int64_t rows = std::min(height, count - first);
    const std::byte* const from = element_of(args.in[0], of->dtype, ExpertRows::row_at(of->x, slot, of->rows.each));
    float* const panel = of->panels(args) + start * depth + first * of->row_floats(count);
    if (of->in_pairs(count)) {
      for (int64_t p = 0; p < of->row_floats(count); p += kChunk) copy_pairs(from, p, panel + p * rows + (row - first) * kChunk);
      return;
    }
    if (rows == 1) {
      of->own.pack_left({from, k, 1}, 1, k, 1, panel);
      return;
    }
    auto* const line = static_cast<float*>(args.thread_scratch);
    of->own.pack_left({from, k, 1}, 1, k, 1, line);
    for (int64_t p = 0; p < depth; p += kChunk) {
      std::memcpy(panel + p * rows + (row - first) * kChunk, line + p, kChunk * sizeof(float));
    }
  }
  /// A chunk of pairs, with zeros beyond k.
  void copy_pairs(const std::byte* from, int64_t pair, float* to) const {
    const int64_t at = 2 * pair, there = std::clamp<int64_t>(of->k - at, 0, 2 * kChunk);
    const auto bytes = static_cast<size_t>(there) * sizeof(bf16);
    std::memcpy(to, from + static_cast<size_t>(at) * sizeof(bf16), bytes);
    std::memset(reinterpret_cast<std::byte*>(to) + bytes, 0, kChunk * sizeof(float) - bytes);
  }
};

/// A task is a block of columns of one expert.
struct MultiplyRows {
  std::shared_ptr<const Grouped> of;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    const ExpertRows::View view = of->rows.view(args.scratch);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t group = task / of->column_blocks, column = task % of->column_blocks * of->columns;
      if (group >= view.count) return;
      const int64_t expert = view.groups[group], start = view.starts[expert];
      const Part part{view.order + start, of->panels(args) + start * of->depth(), view.starts[expert + 1] - start, column,
                      std::min(of->columns, of->n - column)};
      const void* const w =
          element_of(args.in[operand::gather_matmul::w], of->dtype, expert * of->expert_stride + column * of->column_stride);
      if (of->dots(part.rows)) {
        dots(args, part, w);
      } else {
        tiles(args, part, w);
      }
    }
  }

 private:
  /// The rows of an expert, and the columns of a task.
  struct Part {
    const int32_t* order;
    const float* panels;
    int64_t rows, column, columns;
  };
  void store(const KernelArgs& args, int64_t slot, int64_t column, const float* sums, int64_t columns) const {
    void* const out = static_cast<std::byte*>(args.out[0]) + (slot * of->n + column) * static_cast<int64_t>(size_of(of->dtype));
    tile_store(of->dtype)(sums, out, columns);
  }
  void dots(const KernelArgs& args, const Part& part, const void* w) const {
    auto* const sums = static_cast<float*>(args.thread_scratch);
    of->own.dot({part.panels, of->depth(), w, of->column_stride, sums, part.columns, of->k, part.rows, part.columns, false});
    for (int64_t i = 0; i < part.rows; ++i) store(args, part.order[i], part.column, sums + i * part.columns, part.columns);
  }
  void tiles(const KernelArgs& args, const Part& part, const void* w) const {
    auto* const panel = static_cast<float*>(args.thread_scratch);
    float* const sums = panel + of->depth() * kPanel;
    const int64_t height = of->height(part.rows), line = of->row_floats(part.rows);
    const bool pairs = of->in_pairs(part.rows);
    const TileKernel* const kernels = pairs ? of->pairs->tiles : of->f32.two;
    for (int64_t j = 0; j < part.columns; j += kPanel) {
      const int64_t columns = std::min(kPanel, part.columns - j);
      const std::byte* const from = element_of(w, of->dtype, j * of->column_stride);
      if (pairs) {
        of->pairs->pack({reinterpret_cast<const bf16*>(from), of->depth_stride, of->column_stride}, of->k, columns, panel);
      } else {
        of->own.pack_right({from, of->depth_stride, of->column_stride}, of->k, columns, panel);
      }
      for (int64_t i = 0; i < part.rows; i += height) {
        const int64_t rows = std::min(height, part.rows - i);
        const int64_t steps = pairs ? pairs_of(of->k) : of->k;
        const TileArgs tile{part.panels + i * line, panel, kPanel, kChunk, sums, kPanel, kChunk, steps, false};
        kernels[rows](tile);
        for (int64_t r = 0; r < rows; ++r) store(args, part.order[i + r], part.column + j, sums + r * kPanel, columns);
      }
    }
  }
};

/// Columns of a task: what it reads of a matrix is worth a task.
int64_t columns_of_task(int64_t n, int64_t k, DType dtype) {
  const int64_t line = std::max<int64_t>(k, 1) * static_cast<int64_t>(size_of(dtype));
  return std::clamp<int64_t>(kTaskBytes / line / kPanel, 1, std::max<int64_t>(divide_up(n, kPanel), 1)) * kPanel;
}

}  // namespace

PreparedOp prepare_gather_matmul(const KernelRequest& request) {
  namespace in = operand::gather_matmul;
  if (has_f64(request)) return reference_backend().prepare(request);
  const OperandSpec &x = request.inputs[in::x], &w = request.inputs[in::w], &chosen = request.inputs[in::chosen];
  const bool transposed = request.attrs[attr::gather_matmul::transpose_w] != 0;
  Grouped grouped{.rows = {request.op, chosen.shape[0], chosen.shape[1], w.shape[0]},
                  .x = x,
                  .dtype = x.dtype,
                  .k = x.shape[2],
                  .n = request.outputs[0].shape[2],
                  .expert_stride = w.strides[0],
                  .column_stride = w.strides[transposed ? 1 : 2],
                  .depth_stride = w.strides[transposed ? 2 : 1],
                  .columns = 0,
                  .column_blocks = 0,
                  .f32 = gemm_kernels(DType::f32),
                  .own = gemm_kernels(x.dtype),
                  .pairs = nullptr};
  if (x.dtype == DType::bf16 && (grouped.depth_stride == 1 || grouped.column_stride == 1)) grouped.pairs = pair_kernels();
  grouped.columns = columns_of_task(grouped.n, grouped.k, x.dtype);
  grouped.column_blocks = divide_up(grouped.n, grouped.columns);
  PreparedOp op;
  op.name = "gather_matmul";
  if (x.shape[2] > 1 && x.strides[2] != 1) op.needs_contiguous |= 1u << in::x;
  if (!chosen.contiguous) op.needs_contiguous |= 1u << in::chosen;
  const auto slots = static_cast<double>(grouped.rows.slots());
  op.flops = 2 * slots * static_cast<double>(grouped.k) * static_cast<double>(grouped.n);
  op.bytes = static_cast<double>(size_of(x.dtype)) *
             (slots * static_cast<double>(grouped.k + grouped.n) +
              static_cast<double>(grouped.rows.most_groups()) * static_cast<double>(grouped.k) * static_cast<double>(grouped.n));
  op.scratch_bytes = grouped.rows.bytes() + static_cast<size_t>(grouped.panel_floats()) * sizeof(float);
  const int64_t few = kFewRows * grouped.columns, many = (grouped.depth() + kMaxTileRows) * kPanel;
  op.thread_scratch_bytes = static_cast<size_t>(std::max(few, many)) * sizeof(float);
  const int64_t tasks = grouped.n == 0 ? 0 : grouped.rows.most_groups() * grouped.column_blocks;
  const auto shared = std::make_shared<const Grouped>(std::move(grouped));
  op.phases.push_back(make_kernel(SortRows{shared->rows, in::chosen}, tasks == 0 ? 0 : 1));
  const PackRows pack{shared};
  op.phases.push_back(make_kernel(pack, tasks == 0 ? 0 : pack.tasks()));
  op.phases.push_back(make_kernel(MultiplyRows{shared}, tasks));
  return op;
}

}  // namespace lazuli::cpu
