// Dequantization: a scale and, where given, a zero point for each group of neighbours in the last axis.
#include "backend/cpu/rows.h"
#include "graph/attrs.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/dequantize.cc"
#include "backend/cpu/each_target.h"
#include "backend/cpu/row_loop.h"

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

struct Dequantize {
  void (*scale)(float* x, int64_t n, int64_t group, const float* scales, const float* zeros);
  StridedView q;
  TileLoad load;
  RowReader scales, zeros;
  RowWriter out;
  int64_t n, group, rows, per_task;
  size_t raw;
  bool has_zeros;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    each_row(rows, per_task, begin, end, [&](int64_t r) {
      float* y = out.row(args, args.out[0], r);
      if (q.contiguous()) {
        load(element_at(args.in[0], r * n, 1), y, n);
      } else {
        void* bytes = element_at(args.thread_scratch, static_cast<int64_t>(raw), 1);
        gather(q, args.in[0], 1, r * n, n, bytes);
        load(bytes, y, n);
      }
      scale(y, n, group, scales.row(args, args.in[1], r), has_zeros ? zeros.row(args, args.in[2], r) : nullptr);
      out.finish(args, args.out[0], r);
    });
  }
};

}  // namespace

PreparedOp prepare_dequantize(const KernelRequest& request) {
  if (has_f64(request)) return reference_backend().prepare(request);
  const OperandSpec& q = request.inputs[0];
  const int last = q.shape.rank() - 1;
  ScratchPlan plan;
  Dequantize state{};
  state.scale = HWY_DYNAMIC_DISPATCH(lookup_scale)();
  state.q = StridedView(q, q.shape);
  state.load = tile_load(q.dtype);
  state.scales = RowReader(request, request.inputs[1], last, plan);
  state.has_zeros = request.inputs.size() > 2;
  if (state.has_zeros) state.zeros = RowReader(request, request.inputs[2], last, plan);
  state.out = RowWriter(request, request.outputs[0], last, plan);
  state.n = q.shape.back();
  state.group = request.attrs[attr::dequantize::group];
  state.rows = state.scales.rows();
  state.per_task = rows_per_task(state.n);
  state.raw = plan.take(state.q.contiguous() ? 0 : static_cast<size_t>(state.n));
  PreparedOp op = make_op(request, "dequantize", state, tasks_for(state.rows, state.per_task), 2);
  op.thread_scratch_bytes = plan.bytes();
  return op;
}

}  // namespace lazuli::cpu
#endif
