// Softmax, log-softmax, softmax between two scales, and the gradient of softmax.
#include "graph/ops/softmax.h"

#include "backend/cpu/tiles/rows.h"
#include "graph/ops/scaled_softmax.h"
#include "graph/ops/softmax_backward.h"
#include "lazuli/op.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/rows/softmax.cc"
#include "backend/cpu/common/each_target.h"
#include "backend/cpu/common/simd_math.h"
#include "backend/cpu/tiles/row_loop.h"

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu {
namespace HWY_NAMESPACE {
namespace {

/// out = softmax(pre x) post.
void softmax_row(const float* x, float* out, int64_t n, float pre, float post) {
  const VF scale = splat(pre);
  const VF top = splat(max_vectors(n, [&](int64_t i, auto at) HWY_ATTR { return hn::Mul(at.load(x + i), scale); }));
  const float sum = sum_vectors(n, [&](int64_t i, auto at) HWY_ATTR {
    const VF e = exp_nonpositive(hn::Sub(hn::Mul(at.load(x + i), scale), top));
    at.store(e, out + i);
    return e;
  });
  const VF factor = splat(post / sum);
  each_vector(n, [&](int64_t i, auto at) HWY_ATTR { at.store(hn::Mul(at.load(out + i), factor), out + i); });
}

void log_softmax_row(const float* x, float* out, int64_t n, float, float) {
  const VF top = splat(max_vectors(n, [&](int64_t i, auto at) HWY_ATTR { return at.load(x + i); }));
  const float sum = sum_vectors(n, [&](int64_t i, auto at) HWY_ATTR { return exp_nonpositive(hn::Sub(at.load(x + i), top)); });
  const VF lowered = splat(std::log(sum));
  each_vector(n, [&](int64_t i, auto at) HWY_ATTR { at.store(hn::Sub(hn::Sub(at.load(x + i), top), lowered), out + i); });
}

/// out = (g - sum(g y)) y.
void softmax_backward_row(const float* y, const float* g, float* out, int64_t n) {
  const VF dot = splat(sum_vectors(n, [&](int64_t i, auto at) HWY_ATTR { return hn::Mul(at.load(y + i), at.load(g + i)); }));
  each_vector(n, [&](int64_t i, auto at) HWY_ATTR { at.store(hn::Mul(hn::Sub(at.load(g + i), dot), at.load(y + i)), out + i); });
}

using RowFn = void (*)(const float* x, float* out, int64_t n, float pre, float post);
using BackwardFn = void (*)(const float* y, const float* g, float* out, int64_t n);
RowFn lookup_softmax(Op op) { return op == Op::log_softmax ? log_softmax_row : softmax_row; }
BackwardFn lookup_softmax_backward() { return softmax_backward_row; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lazuli::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lazuli::cpu {
namespace {

HWY_EXPORT(lookup_softmax);
HWY_EXPORT(lookup_softmax_backward);

struct Softmax {
  void (*fn)(const float* x, float* out, int64_t n, float pre, float post);
  RowReader x;
  RowWriter out;
  int64_t per_task;
  DType factors[2];
  bool scaled;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    const float pre = scaled ? static_cast<float>(factor(args.in[operand::scaled_softmax::pre], factors[0])) : 1.0f;
    const float post = scaled ? static_cast<float>(factor(args.in[operand::scaled_softmax::post], factors[1])) : 1.0f;
    each_row(x.rows(), per_task, begin, end, [&](int64_t r) {
      fn(x.row(args, args.in[0], r), out.row(args, args.out[0], r), x.count(), pre, post);
      out.finish(args, args.out[0], r);
    });
  }
};

struct SoftmaxBackward {
  void (*fn)(const float* y, const float* g, float* out, int64_t n);
  RowReader y, g;
  RowWriter out;
  int64_t per_task;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    each_row(y.rows(), per_task, begin, end, [&](int64_t r) {
      fn(y.row(args, args.in[0], r), g.row(args, args.in[operand::softmax_backward::g], r), out.row(args, args.out[0], r), y.count());
      out.finish(args, args.out[0], r);
    });
  }
};

}  // namespace

PreparedOp prepare_softmax(const KernelRequest& request) {
  if (has_f64(request)) return reference_backend().prepare(request);
  ScratchPlan plan;
  Softmax state{};
  state.fn = HWY_DYNAMIC_DISPATCH(lookup_softmax)(request.op);
  state.x = RowReader(request, request.inputs[0], request.attrs[attr::softmax::axis], plan);
  state.out = RowWriter(request, request.outputs[0], request.attrs[attr::softmax::axis], plan);
  state.per_task = rows_per_task(state.x.count());
  state.scaled = request.op == Op::scaled_softmax;
  for (size_t k = 0; state.scaled && k < 2; ++k) state.factors[k] = request.inputs[k + 1].dtype;
  PreparedOp op = make_op(request, name_of(request.op).data(), state, tasks_for(state.x.rows(), state.per_task), 8);
  op.thread_scratch_bytes = plan.bytes();
  op.in_place = first_in_place(request);
  return op;
}

PreparedOp prepare_scaled_softmax(const KernelRequest& request) { return prepare_softmax(request); }

PreparedOp prepare_softmax_backward(const KernelRequest& request) {
  if (has_f64(request)) return reference_backend().prepare(request);
  ScratchPlan plan;
  SoftmaxBackward state{};
  state.fn = HWY_DYNAMIC_DISPATCH(lookup_softmax_backward)();
  state.y = RowReader(request, request.inputs[0], request.attrs[attr::softmax::axis], plan);
  state.g = RowReader(request, request.inputs[operand::softmax_backward::g], request.attrs[attr::softmax::axis], plan);
  state.out = RowWriter(request, request.outputs[0], request.attrs[attr::softmax::axis], plan);
  state.per_task = rows_per_task(state.y.count());
  PreparedOp op = make_op(request, "softmax_backward", state, tasks_for(state.y.rows(), state.per_task), 4);
  op.thread_scratch_bytes = plan.bytes();
  op.in_place = first_in_place(request);
  return op;
}

}  // namespace lazuli::cpu
#endif
