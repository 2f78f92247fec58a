// Products with quantised weights. Each row of x is rounded to integers, so that what a row gives does not depend on the others.
#include "graph/ops/quantized_linear.h"

#include <algorithm>

#include "backend/cpu/common/thresholds.h"
#include "backend/cpu/gemm/gemm_op.h"
#include "backend/cpu/gemm/gemm_pieces.h"
#include "backend/cpu/quantized/quantized.h"
#include "graph/stored_parts.h"
#include "lazuli/op.h"

namespace lazuli::cpu {

namespace {

using threshold::quantized::kBlockColumns;
using threshold::quantized::kFewNumbers;
using threshold::quantized::kLongest;
using threshold::quantized::kManyRows;
using threshold::quantized::kRoundTasks;

struct QuantizedLinear {
  int64_t m, n, k;
  int64_t bits;          ///< 8 or 4 with scales beside the integers; 0: blocks
  int64_t weight_bytes;  ///< of a row of the weight
  DType dtype;
  int64_t x_stride;  ///< elements
  bool half_scales;
  int bias = -1, residual = -1;  ///< operands
  TileFn activation = nullptr;
  QuantizedKernels kernels;
  int64_t row_bytes;  ///< of a rounded row
  bool shared;        ///< rows are rounded in a phase of their own
  bool packed;        ///< by QuantizedKernels::panels
  bool direct;        ///< sums are the result as they are
  int64_t block_rows, block_columns, row_blocks;

  int64_t tasks() const { return m == 0 || n == 0 ? 0 : row_blocks * divide_up(n, block_columns); }
  size_t rounded_bytes() const { return static_cast<size_t>(m * row_bytes); }
  size_t sums_bytes() const { return direct ? 0 : static_cast<size_t>(round_up(block_rows * block_columns, kChunk)) * sizeof(float); }
  size_t panel_size() const { return packed ? static_cast<size_t>(round_up(panel_bytes(bits, k), 64)) : 0; }

  void round(const KernelArgs& args, int64_t first, int64_t last, std::byte* rows) const {
    const auto* x = static_cast<const std::byte*>(args.in[0]);
    for (int64_t i = first; i < last; ++i)
      kernels.round_row(x + i * x_stride * static_cast<int64_t>(size_of(dtype)), dtype, k, rows + i * row_bytes);
  }

  void finish(const KernelArgs& args, float* sums, int64_t row, int64_t column, int64_t columns) const {
    const auto size = static_cast<int64_t>(size_of(dtype));
    const int64_t at = row * n + column;
    if (bias >= 0) add(sums, static_cast<const std::byte*>(args.in[bias]) + column * size, columns);
    if (residual >= 0) add(sums, static_cast<const std::byte*>(args.in[residual]) + at * size, columns);
    if (activation != nullptr) activation(sums, nullptr, nullptr, sums, columns);
    std::byte* out = static_cast<std::byte*>(args.out[0]) + at * size;
    if (dtype == DType::f32) {
      std::copy_n(sums, columns, reinterpret_cast<float*>(out));
    } else {
      tile_store(dtype)(sums, out, columns);
    }
  }

  void add(float* sums, const std::byte* values, int64_t count) const {
    const TileFn plus = tile_fn(Op::add, 0);
    if (dtype == DType::f32) return plus(sums, reinterpret_cast<const float*>(values), nullptr, sums, count);
    const TileLoad load = tile_load(dtype);
    alignas(64) float wide[kTile];
    for (int64_t i = 0; i < count; i += kTile) {
      const int64_t part = std::min(kTile, count - i);
      load(values + i * static_cast<int64_t>(size_of(dtype)), wide, part);
      plus(sums + i, wide, nullptr, sums + i, part);
    }
  }

  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    auto* own = static_cast<std::byte*>(args.thread_scratch);
    auto* rounded = static_cast<std::byte*>(args.scratch);
    if (!shared) {
      rounded = own;
      own += rounded_bytes();
      if (begin < end) round(args, 0, m, rounded);
    }
    auto* const sums = reinterpret_cast<float*>(own);
    std::byte* const panel = own + sums_bytes();
    const int64_t groups = bits == 0 ? 0 : bits == 8 ? 1 : k / kQuantizedGroup;
    const auto scale_size = static_cast<int64_t>(half_scales ? sizeof(f16) : sizeof(float));
    for (int64_t task = begin; task < end; ++task) {
      // Blocks of rows inside: neighbouring tasks share their part of the weight.
      const int64_t row = task % row_blocks * block_rows, column = task / row_blocks * block_columns;
      const int64_t rows = std::min(block_rows, m - row), columns = std::min(block_columns, n - column);
      QuantizedTile tile{};
      tile.x = rounded + row * row_bytes;
      tile.x_stride = row_bytes;
      tile.q = static_cast<const std::byte*>(args.in[operand::quantized_linear::values]) + column * weight_bytes;
      tile.q_stride = weight_bytes;
      if (groups != 0) tile.scales = static_cast<const std::byte*>(args.in[2]) + column * groups * scale_size;
      tile.scale_stride = groups;
      tile.half_scales = half_scales;
      tile.k = k;
      tile.rows = rows;
      tile.columns = columns;
      tile.out = direct ? static_cast<float*>(args.out[0]) + row * n + column : sums;
      tile.ldo = direct ? n : block_columns;
      if (packed) {
        kernels.panels(tile, panel);
      } else {
        kernels.product(tile);
      }
      for (int64_t i = 0; !direct && i < rows; ++i) finish(args, sums + i * block_columns, row + i, column, columns);
    }
  }
};

struct RoundRows {
  std::shared_ptr<const QuantizedLinear> owner;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    owner->round(args, begin * kRoundTasks, std::min(end * kRoundTasks, owner->m), static_cast<std::byte*>(args.scratch));
  }
};

void choose_blocks(QuantizedLinear& p) {
  p.shared = p.m * p.k > kFewNumbers;
  p.packed = p.m >= kManyRows && p.kernels.panels != nullptr;
  p.direct = p.dtype == DType::f32 && p.bias < 0 && p.residual < 0 && p.activation == nullptr;
  const int64_t pieces = std::max<int64_t>(divide_up(p.m, threshold::quantized::kBlockRows), 1);
  p.block_rows = std::max<int64_t>(divide_up(p.m, pieces), 1);
  p.row_blocks = divide_up(std::max<int64_t>(p.m, 1), p.block_rows);
  // A few tasks at least, of whole panels.
  const int64_t eighth = round_up(divide_up(p.n, 8), 32);
  if (p.packed) {
    p.block_columns = p.row_blocks >= 8 ? kBlockColumns : std::min(kBlockColumns, eighth);
  } else {
    const int64_t each = std::max<int64_t>(p.weight_bytes, 1);
    p.block_columns = std::clamp<int64_t>(threshold::quantized::kTaskBytes / each / 16 * 16, 16, std::clamp<int64_t>(eighth, 32, 2048));
  }
  p.block_columns = std::max<int64_t>(p.block_columns, 16);
}

}  // namespace

PreparedOp prepare_quantized_linear(const KernelRequest& request) {
  const RowsOf x(request.inputs[0]);
  const OperandSpec& q = request.inputs[operand::quantized_linear::values];
  const int64_t k = request.inputs[0].shape.back();
  if (has_f64(request) || k > kLongest) return reference_backend().prepare(request);
  const QuantFormat& format = quant_format(static_cast<QuantFormatId>(request.attrs[attr::quantized_linear::format]));
  const bool blocks = format.storage == QuantStorage::blocks;
  QuantizedLinear p{};
  p.bits = blocks ? 0 : format.bits();
  p.m = x.rows;
  p.n = q.shape[0];
  p.k = k;
  p.weight_bytes = q.shape[1];
  p.dtype = request.inputs[0].dtype;
  p.x_stride = x.layout.row;
  p.half_scales = !blocks && request.inputs[2].dtype == DType::f16;
  const int64_t with = request.attrs[attr::quantized_linear::with];
  p.bias = (with & 1) != 0 ? 1 + static_cast<int>(stored_parts(request.attrs, request.inputs.size())) : -1;
  p.residual = (with & 2) != 0 ? static_cast<int>(request.inputs.size()) - 1 : -1;
  if (request.attrs[attr::quantized_linear::activation] != 0)
    p.activation = tile_fn(static_cast<Op>(request.attrs[attr::quantized_linear::activation]), 0);
  p.kernels = quantized_kernels(format.id);
  p.row_bytes = rounded_row_bytes(format.id, k);
  choose_blocks(p);

  PreparedOp op;
  op.name = blocks ? "quantized_linear_blocks" : p.bits == 8 ? "quantized_linear_8" : "quantized_linear_4";
  op.bytes = bytes_of(request);
  op.flops = 2 * static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
  op.thread_scratch_bytes = p.sums_bytes() + p.panel_size() + (p.shared ? 0 : p.rounded_bytes());
  const bool shared = p.shared;
  const int64_t tasks = p.tasks(), round_tasks = divide_up(p.m, kRoundTasks);
  const size_t rounded = p.rounded_bytes();
  const int residual = p.residual;
  Kernel kernel = make_kernel(std::move(p), tasks);
  if (shared) {
    op.scratch_bytes = rounded;
    op.phases.push_back(make_kernel(RoundRows{std::static_pointer_cast<const QuantizedLinear>(kernel.state)}, round_tasks));
  }
  op.phases.push_back(std::move(kernel));
  if (x.needs_copy || x.layout.column != 1) op.needs_contiguous |= 1;
  for (size_t j = 1; j < request.inputs.size(); ++j) {
    if (!request.inputs[j].contiguous) op.needs_contiguous |= 1u << j;
  }
  if (residual >= 0) op.in_place = {residual};
  return op;
}

}  // namespace lazuli::cpu
