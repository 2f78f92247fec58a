// Dequantization: a scale and, where given, a zero point for each group of neighbours in the last axis, or the blocks of a format.
#include "graph/ops/dequantize.h"

#include "backend/cpu/quantized/quantized.h"
#include "backend/cpu/tiles/rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/quantized/dequantize.cc"
#include "backend/cpu/common/each_target.h"
#include "backend/cpu/tiles/row_loop.h"

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu {
namespace HWY_NAMESPACE {
namespace {

/// x = (x - zero) scale for each group of a row; `zeros` may be null.
void scale_groups(float* x, int64_t n, int64_t group, const float* scales, const float* zeros) {
  for (int64_t first = 0, k = 0; first < n; first += group, ++k) {
    const VF scale = splat(scales[k]), zero_point = splat(zeros == nullptr ? 0.0f : zeros[k]);
    float* y = x + first;
    each_vector(n - first < group ? n - first : group,
                [&](int64_t i, auto at) HWY_ATTR { at.store(hn::Mul(hn::Sub(at.load(y + i), zero_point), scale), y + i); });
  }
}
/// Two integers of 4 bits in a byte, the first in the low half, less 8.
void load_halves(const uint8_t* bytes, int64_t n, float* out) {
  for (int64_t i = 0; i < n / 2; ++i) {
    out[2 * i] = static_cast<float>(static_cast<int>(bytes[i] & 15) - 8);
    out[2 * i + 1] = static_cast<float>(static_cast<int>(bytes[i] >> 4) - 8);
  }
}
using HalvesFn = void (*)(const uint8_t* bytes, int64_t n, float* out);
HalvesFn lookup_halves() { return load_halves; }

using ScaleFn = void (*)(float* x, int64_t n, int64_t group, const float* scales, const float* zeros);
ScaleFn lookup_scale() { return scale_groups; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lazuli::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lazuli::cpu {
namespace {

HWY_EXPORT(lookup_scale);

HWY_EXPORT(lookup_halves);

struct Dequantize {
  void (*scale)(float* x, int64_t n, int64_t group, const float* scales, const float* zeros);
  void (*halves)(const uint8_t* bytes, int64_t n, float* out);  ///< null for integers of 8 bits
  StridedView q;
  TileLoad load;
  RowReader scales, zeros;
  RowWriter out;
  int64_t n, row_bytes, group, rows, per_task;
  size_t raw;
  bool has_zeros;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    each_row(rows, per_task, begin, end, [&](int64_t r) {
      float* y = out.row(args, args.out[0], r);
      const void* bytes = element_at(args.in[0], r * row_bytes, 1);
      if (!q.contiguous()) {
        void* gathered = element_at(args.thread_scratch, static_cast<int64_t>(raw), 1);
        gather(q, args.in[0], 1, r * row_bytes, row_bytes, gathered);
        bytes = gathered;
      }
      if (halves != nullptr) {
        halves(static_cast<const uint8_t*>(bytes), n, y);
      } else {
        load(bytes, y, n);
      }
      scale(y, n, group, scales.row(args, args.in[operand::dequantize::scales], r),
            has_zeros ? zeros.row(args, args.in[operand::dequantize::zero_points], r) : nullptr);
      out.finish(args, args.out[0], r);
    });
  }
};

struct ExpandRows {
  ExpandBlocks expand;
  RowWriter out;
  int64_t n, row_bytes, rows, per_task;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    each_row(rows, per_task, begin, end, [&](int64_t r) {
      expand(static_cast<const std::byte*>(args.in[0]) + r * row_bytes, n, out.row(args, args.out[0], r));
      out.finish(args, args.out[0], r);
    });
  }
};

PreparedOp prepare_blocks(const KernelRequest& request, const QuantFormat& format) {
  ScratchPlan plan;
  ExpandRows state{};
  state.expand = expand_blocks(format.id);
  state.out = RowWriter(request, request.outputs[0], request.outputs[0].shape.rank() - 1, plan);
  state.n = request.outputs[0].shape.back();
  state.row_bytes = request.inputs[0].shape.back();
  state.rows = state.n == 0 ? 0 : request.outputs[0].shape.numel() / state.n;
  state.per_task = rows_per_task(state.n);
  PreparedOp op = make_op(request, "dequantize", state, tasks_for(state.rows, state.per_task), 2);
  op.thread_scratch_bytes = plan.bytes();
  if (!request.inputs[0].contiguous) op.needs_contiguous |= 1;
  return op;
}

}  // namespace

PreparedOp prepare_dequantize(const KernelRequest& request) {
  if (has_f64(request)) return reference_backend().prepare(request);
  const OperandSpec& q = request.inputs[0];
  const int64_t id = request.attrs[attr::dequantize::format];
  const QuantFormat* format = id == 0 ? nullptr : &quant_format(static_cast<QuantFormatId>(id));
  if (format != nullptr && format->storage == QuantStorage::blocks) return prepare_blocks(request, *format);
  const int last = q.shape.rank() - 1;
  ScratchPlan plan;
  Dequantize state{};
  state.scale = HWY_DYNAMIC_DISPATCH(lookup_scale)();
  if (format != nullptr && format->bits() == 4) state.halves = HWY_DYNAMIC_DISPATCH(lookup_halves)();
  state.q = StridedView(q, q.shape);
  state.load = tile_load(q.dtype);
  state.scales = RowReader(request, request.inputs[operand::dequantize::scales], last, plan);
  state.has_zeros = request.inputs.size() > 2;
  if (state.has_zeros) state.zeros = RowReader(request, request.inputs[operand::dequantize::zero_points], last, plan);
  state.out = RowWriter(request, request.outputs[0], last, plan);
  state.n = request.outputs[0].shape.back();
  state.row_bytes = q.shape.back();
  state.group = format == nullptr ? request.attrs[attr::dequantize::group] : format->scale.group != 0 ? format->scale.group : state.n;
  state.rows = state.scales.rows();
  state.per_task = rows_per_task(state.n);
  state.raw = plan.take(state.q.contiguous() ? 0 : static_cast<size_t>(state.row_bytes));
  PreparedOp op = make_op(request, "dequantize", state, tasks_for(state.rows, state.per_task), 2);
  op.thread_scratch_bytes = plan.bytes();
  return op;
}

}  // namespace lazuli::cpu
#endif
