// Softmax cross entropy of each row of logits with the log-sum-exp that its gradient needs.
#include "graph/ops/cross_entropy.h"

#include "backend/cpu/tiles/rows.h"
#include "graph/ops/cross_entropy_backward.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/rows/cross_entropy.cc"
#include "backend/cpu/common/each_target.h"
#include "backend/cpu/common/simd_math.h"
#include "backend/cpu/tiles/row_loop.h"

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu {
namespace HWY_NAMESPACE {
namespace {

float log_sum_exp_row(const float* x, int64_t n) {
  const float top = max_vectors(n, [&](int64_t i, auto at) HWY_ATTR { return at.load(x + i); });
  if (std::isinf(top)) return top;
  const VF t = splat(top);
  return top + std::log(sum_vectors(n, [&](int64_t i, auto at) HWY_ATTR { return exp_nonpositive(hn::Sub(at.load(x + i), t)); }));
}

/// Sum of lse - x.
float sum_below_row(const float* x, int64_t n, float lse) {
  const VF t = splat(lse);
  return sum_vectors(n, [&](int64_t i, auto at) HWY_ATTR { return hn::Sub(t, at.load(x + i)); });
}

/// out = g (exp(x - lse) - wanted).
void difference_row(const float* x, float* out, int64_t n, float lse, float g, float wanted) {
  const VF t = splat(lse), scale = splat(g), w = splat(wanted);
  each_vector(n, [&](int64_t i, auto at) HWY_ATTR { at.store(hn::Mul(scale, hn::Sub(exp(hn::Sub(at.load(x + i), t)), w)), out + i); });
}

using LogSumExpFn = float (*)(const float* x, int64_t n);
using SumBelowFn = float (*)(const float* x, int64_t n, float lse);
using DifferenceFn = void (*)(const float* x, float* out, int64_t n, float lse, float g, float wanted);
LogSumExpFn lookup_log_sum_exp() { return log_sum_exp_row; }
SumBelowFn lookup_sum_below() { return sum_below_row; }
DifferenceFn lookup_difference() { return difference_row; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lazuli::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lazuli::cpu {
namespace {

HWY_EXPORT(lookup_log_sum_exp);
HWY_EXPORT(lookup_sum_below);
HWY_EXPORT(lookup_difference);

/// One number a row.
struct PerRow {
  StridedView view;
  DType dtype;
  PerRow() = default;
  explicit PerRow(const OperandSpec& spec) : view(spec, spec.shape), dtype(spec.dtype) {}
  int64_t offset(int64_t r) const { return view.contiguous() ? r : run_at(view, r).offset; }
  float real(const void* base, int64_t r) const { return static_cast<const float*>(base)[offset(r)]; }
  int64_t integer(const void* base, int64_t r) const {
    return dtype == DType::i32 ? static_cast<const int32_t*>(base)[offset(r)] : static_cast<const int64_t*>(base)[offset(r)];
  }
};

struct Rows {
  RowReader x;
  PerRow targets;
  int64_t per_task, ignore;
  DType smoothing;
  Op op;

  Rows(const KernelRequest& request, ScratchPlan& plan)
      : x(request, request.inputs[0], request.inputs[0].shape.rank() - 1, plan),
        targets(request.inputs[operand::cross_entropy::targets]),
        per_task(rows_per_task(x.count())),
        ignore(request.attrs[attr::cross_entropy::ignore_index]),
        smoothing(request.inputs[operand::cross_entropy::smoothing].dtype),
        op(request.op) {}

  /// -1 for an ignored row.
  int64_t target(const KernelArgs& args, int64_t r) const {
    const int64_t t = targets.integer(args.in[operand::cross_entropy::targets], r);
    if (t == ignore) return -1;
    if (t >= 0 && t < x.count()) return t;
    throw ValueError("[" + std::string(name_of(op)) + "] target " + std::to_string(t) + " of row " + std::to_string(r) +
                     " is out of range for " + std::to_string(x.count()) + " classes");
  }
};

struct CrossEntropy {
  Rows rows;
  float (*log_sum_exp)(const float* x, int64_t n);
  float (*sum_below)(const float* x, int64_t n, float lse);
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    const auto smoothing = static_cast<float>(factor(args.in[operand::cross_entropy::smoothing], rows.smoothing));
    const int64_t n = rows.x.count();
    each_row(rows.x.rows(), rows.per_task, begin, end, [&](int64_t r) {
      const int64_t target = rows.target(args, r);
      const float* x = rows.x.row(args, args.in[0], r);
      const float lse = log_sum_exp(x, n);
      float loss = 0;
      if (target >= 0) {
        loss = (1 - smoothing) * (lse - x[target]);
        if (smoothing != 0) loss += smoothing * (sum_below(x, n, lse) / static_cast<float>(n));
      }
      if (args.out[0] != nullptr) static_cast<float*>(args.out[0])[r] = loss;
      if (args.out[1] != nullptr) static_cast<float*>(args.out[1])[r] = lse;
    });
  }
};

struct CrossEntropyBackward {
  Rows rows;
  PerRow lse, g;
  RowWriter out;
  void (*difference)(const float* x, float* out, int64_t n, float lse, float g, float wanted);
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    const auto smoothing = static_cast<float>(factor(args.in[operand::cross_entropy::smoothing], rows.smoothing));
    const int64_t n = rows.x.count();
    each_row(rows.x.rows(), rows.per_task, begin, end, [&](int64_t r) {
      const int64_t target = rows.target(args, r);
      float* dx = out.row(args, args.out[0], r);
      if (target < 0) {
        std::fill_n(dx, n, 0.0f);
      } else {
        const float* x = rows.x.row(args, args.in[0], r);
        const float at = x[target], lse_r = lse.real(args.in[operand::cross_entropy_backward::lse], r),
                    g_r = g.real(args.in[operand::cross_entropy_backward::g], r);
        const float spread = smoothing / static_cast<float>(n);
        difference(x, dx, n, lse_r, g_r, spread);
        dx[target] = g_r * (std::exp(at - lse_r) - (spread + (1 - smoothing)));
      }
      out.finish(args, args.out[0], r);
    });
  }
};

}  // namespace

PreparedOp prepare_cross_entropy(const KernelRequest& request) {
  if (has_f64(request)) return reference_backend().prepare(request);
  ScratchPlan plan;
  CrossEntropy state{Rows(request, plan), HWY_DYNAMIC_DISPATCH(lookup_log_sum_exp)(), HWY_DYNAMIC_DISPATCH(lookup_sum_below)()};
  PreparedOp op = make_op(request, "cross_entropy", state, tasks_for(state.rows.x.rows(), state.rows.per_task), 8);
  op.thread_scratch_bytes = plan.bytes();
  return op;
}

PreparedOp prepare_cross_entropy_backward(const KernelRequest& request) {
  if (has_f64(request)) return reference_backend().prepare(request);
  ScratchPlan plan;
  Rows rows(request, plan);
  const int last = request.outputs[0].shape.rank() - 1;
  CrossEntropyBackward state{rows, PerRow(request.inputs[operand::cross_entropy_backward::lse]),
                             PerRow(request.inputs[operand::cross_entropy_backward::g]), RowWriter(request, request.outputs[0], last, plan),
                             HWY_DYNAMIC_DISPATCH(lookup_difference)()};
  PreparedOp op = make_op(request, "cross_entropy_backward", state, tasks_for(rows.x.rows(), rows.per_task), 8);
  op.thread_scratch_bytes = plan.bytes();
  op.in_place = first_in_place(request);
  return op;
}

}  // namespace lazuli::cpu
#endif
