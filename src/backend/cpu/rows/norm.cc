// RMS and layer norms over the last axis with their gradients, and group norm.
#include "backend/cpu/rows/norm.h"

#include "backend/cpu/tiles/rows.h"
#include "graph/ops/add_layer_norm.h"
#include "graph/ops/group_norm.h"
#include "graph/ops/layer_norm.h"
#include "lazuli/op.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/rows/norm.cc"
#include "backend/cpu/common/each_target.h"
#include "backend/cpu/tiles/row_loop.h"

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu {
namespace HWY_NAMESPACE {
namespace {

/// 1/sqrt(mean(x^2) + eps).
HWY_INLINE float inverse_rms(const float* x, int64_t n, float eps) {
  const float squares = sum_vectors(n, [&](int64_t i, auto at) HWY_ATTR {
    const VF v = at.load(x + i);
    return hn::Mul(v, v);
  });
  return 1.0f / std::sqrt(squares / static_cast<float>(n) + eps);
}

/// Mean and 1/sqrt(variance + eps), in two passes.
struct Moments {
  HWY_INLINE Moments(const float* x, int64_t n, float eps) {
    mean = sum_vectors(n, [&](int64_t i, auto at) HWY_ATTR { return at.load(x + i); }) / static_cast<float>(n);
    const VF m = splat(mean);
    const float squares = sum_vectors(n, [&](int64_t i, auto at) HWY_ATTR {
      const VF v = hn::Sub(at.load(x + i), m);
      return hn::Mul(v, v);
    });
    scale = 1.0f / std::sqrt(squares / static_cast<float>(n) + eps);
  }
  float mean, scale;
};

void rms_norm_row(const NormRow& r) {
  const VF scale = splat(inverse_rms(r.x, r.n, r.eps));
  each_vector(r.n,
              [&](int64_t i, auto at) HWY_ATTR { at.store(hn::Mul(hn::Mul(at.load(r.x + i), scale), at.load(r.weight + i)), r.out + i); });
}

/// With s = (mean(x^2) + eps)^-1/2: dx = s (w g - x s^2 mean(w g x)).
void rms_norm_backward_row(const NormRow& r) {
  if (r.n == 1) {
    // All but eps s^2 cancels: 1 - x^2 s^2 = eps s^2.
    const double x = static_cast<double>(*r.x), eps = static_cast<double>(r.eps), inverse = 1 / (x * x + eps);
    *r.out = static_cast<float>(std::sqrt(inverse) * inverse * eps * static_cast<double>(*r.weight) * static_cast<double>(*r.g));
    return;
  }
  const float s = inverse_rms(r.x, r.n, r.eps);
  const float dot = sum_vectors(
      r.n, [&](int64_t i, auto at) HWY_ATTR { return hn::Mul(hn::Mul(at.load(r.weight + i), at.load(r.g + i)), at.load(r.x + i)); });
  const VF scale = splat(s), pull = splat(s * s * (dot / static_cast<float>(r.n)));
  each_vector(r.n, [&](int64_t i, auto at) HWY_ATTR {
    const VF wg = hn::Mul(at.load(r.weight + i), at.load(r.g + i));
    at.store(hn::Mul(scale, hn::NegMulAdd(at.load(r.x + i), pull, wg)), r.out + i);
  });
}

void layer_norm_row(const NormRow& r) {
  const Moments m(r.x, r.n, r.eps);
  const VF mean = splat(m.mean), scale = splat(m.scale);
  each_vector(r.n, [&](int64_t i, auto at) HWY_ATTR {
    const VF h = hn::Mul(hn::Sub(at.load(r.x + i), mean), scale);
    at.store(hn::MulAdd(h, at.load(r.weight + i), at.load(r.bias + i)), r.out + i);
  });
}

/// With h = (x - mean) s: dx = s (w g - mean(w g) - h mean(w g h)).
void layer_norm_backward_row(const NormRow& r) {
  const Moments m(r.x, r.n, r.eps);
  const VF mean = splat(m.mean), scale = splat(m.scale);
  const auto count = static_cast<float>(r.n);
  const VF mean_g =
      splat(sum_vectors(r.n, [&](int64_t i, auto at) HWY_ATTR { return hn::Mul(at.load(r.weight + i), at.load(r.g + i)); }) / count);
  const VF mean_gh = splat(sum_vectors(r.n,
                                       [&](int64_t i, auto at) HWY_ATTR {
                                         const VF h = hn::Mul(hn::Sub(at.load(r.x + i), mean), scale);
                                         return hn::Mul(hn::Mul(at.load(r.weight + i), at.load(r.g + i)), h);
                                       }) /
                           count);
  each_vector(r.n, [&](int64_t i, auto at) HWY_ATTR {
    const VF h = hn::Mul(hn::Sub(at.load(r.x + i), mean), scale);
    const VF wg = hn::Mul(at.load(r.weight + i), at.load(r.g + i));
    at.store(hn::Mul(scale, hn::NegMulAdd(h, mean_gh, hn::Sub(wg, mean_g))), r.out + i);
  });
}

/// A row is one group; every run of `size` elements has one weight and bias.
void group_norm_row(const NormRow& r) {
  const Moments m(r.x, r.n, r.eps);
  const VF mean = splat(m.mean), scale = splat(m.scale);
  for (int64_t c = 0; c * r.size < r.n; ++c) {
    const VF weight = splat(r.weight[c]), bias = splat(r.bias[c]);
    const float* x = r.x + c * r.size;
    float* out = r.out + c * r.size;
    each_vector(r.size, [&](int64_t i, auto at)
                            HWY_ATTR { at.store(hn::MulAdd(hn::Mul(hn::Sub(at.load(x + i), mean), scale), weight, bias), out + i); });
  }
}

NormFn lookup_norm(Op op) {
  switch (op) {
    case Op::rms_norm:
    case Op::add_rms_norm:
      return rms_norm_row;
    case Op::rms_norm_backward:
      return rms_norm_backward_row;
    case Op::layer_norm:
    case Op::add_layer_norm:
      return layer_norm_row;
    case Op::layer_norm_backward:
      return layer_norm_backward_row;
    default:
      return group_norm_row;
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lazuli::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lazuli::cpu {
namespace {

HWY_EXPORT(lookup_norm);

struct Norm {
  NormFn fn;
  RowReader x, weight, bias, g;
  RowWriter out;
  int64_t per_task, groups = 1, size = 1;
  int weight_at = 1, bias_at = -1, g_at = -1, eps_at;
  DType eps_dtype;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    NormRow row{};
    row.n = x.count();
    row.size = size;
    row.eps = static_cast<float>(factor(args.in[eps_at], eps_dtype));
    const float* all_weights = weight.row(args, args.in[weight_at], 0);
    const float* all_biases = bias_at < 0 ? nullptr : bias.row(args, args.in[bias_at], 0);
    const int64_t channels = weight.count() / groups;
    each_row(x.rows(), per_task, begin, end, [&](int64_t r) {
      const int64_t first = groups == 1 ? 0 : r % groups * channels;
      row.weight = all_weights + first;
      row.bias = bias_at < 0 ? nullptr : all_biases + first;
      row.x = x.row(args, args.in[0], r);
      row.g = g_at < 0 ? nullptr : g.row(args, args.in[g_at], r);
      row.out = out.row(args, args.out[0], r);
      fn(row);
      out.finish(args, args.out[0], r);
    });
  }
};

/// x + r and its norm. A result that nobody reads is written to scratch.
struct AddNorm {
  NormFn fn;
  TileFn add;
  RowReader x, r, weight, bias;
  RowWriter sum, out;
  int64_t per_task;
  size_t sum_at;  ///< in thread scratch, where the sum is not kept
  bool has_bias;
  DType eps_dtype;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    NormRow row{};
    row.n = x.count();
    row.size = 1;
    row.eps = static_cast<float>(factor(args.in[has_bias ? 4 : 3], eps_dtype));
    row.weight = weight.row(args, args.in[operand::add_layer_norm::weight], 0);
    row.bias = has_bias ? bias.row(args, args.in[operand::add_layer_norm::bias], 0) : nullptr;
    each_row(x.rows(), per_task, begin, end, [&](int64_t k) {
      float* const kept = static_cast<float*>(element_at(args.thread_scratch, static_cast<int64_t>(sum_at), 1));
      float* const total = args.out[0] == nullptr ? kept : sum.row(args, args.out[0], k);
      add(x.row(args, args.in[0], k), r.row(args, args.in[operand::add_layer_norm::r], k), nullptr, total, row.n);
      if (args.out[1] != nullptr) {
        row.x = total;
        row.out = out.row(args, args.out[1], k);
        fn(row);
        out.finish(args, args.out[1], k);
      }
      if (args.out[0] != nullptr) sum.finish(args, args.out[0], k);
    });
  }
};

PreparedOp prepare_add_norm(const KernelRequest& request, const char* name) {
  if (has_f64(request)) return reference_backend().prepare(request);
  const OperandSpec& x = request.inputs[0];
  const int last = x.shape.rank() - 1;
  ScratchPlan plan;
  AddNorm state{};
  state.fn = HWY_DYNAMIC_DISPATCH(lookup_norm)(request.op);
  state.add = tile_fn(Op::add, 0);
  state.x = RowReader(request, x, last, plan);
  state.r = RowReader(request, request.inputs[operand::add_layer_norm::r], last, plan);
  state.weight = RowReader(request, request.inputs[operand::add_layer_norm::weight], 0, plan);
  state.has_bias = request.op == Op::add_layer_norm;
  if (state.has_bias) state.bias = RowReader(request, request.inputs[operand::add_layer_norm::bias], 0, plan);
  state.sum = RowWriter(request, request.outputs[0], last, plan);
  state.out = RowWriter(request, request.outputs[1], last, plan);
  if (!request.outputs[0].used) state.sum_at = plan.take(static_cast<size_t>(state.x.count()) * sizeof(float));
  state.eps_dtype = request.inputs.back().dtype;
  state.per_task = rows_per_task(state.x.count());
  const int64_t tasks = tasks_for(state.x.rows(), state.per_task);
  PreparedOp op = make_op(request, name, std::move(state), tasks, 7);
  op.thread_scratch_bytes = plan.bytes();
  op.in_place = first_in_place(request);
  return op;
}

/// `x_spec` and `out_spec` have the rows as their last axis.
PreparedOp prepare_norm(const KernelRequest& request, const OperandSpec& x_spec, const OperandSpec& out_spec, Norm state) {
  ScratchPlan plan;
  const int last = x_spec.shape.rank() - 1;
  state.fn = HWY_DYNAMIC_DISPATCH(lookup_norm)(request.op);
  state.x = RowReader(request, x_spec, last, plan);
  state.weight = RowReader(request, request.inputs[operand::layer_norm::weight], 0, plan);
  if (state.bias_at >= 0) state.bias = RowReader(request, request.inputs[static_cast<size_t>(state.bias_at)], 0, plan);
  if (state.g_at >= 0) state.g = RowReader(request, request.inputs[static_cast<size_t>(state.g_at)], last, plan);
  state.out = RowWriter(request, out_spec, last, plan);
  state.eps_at = static_cast<int>(request.inputs.size()) - 1;
  state.eps_dtype = request.inputs.back().dtype;
  state.per_task = rows_per_task(state.x.count());
  PreparedOp op = make_op(request, name_of(request.op).data(), state, tasks_for(state.x.rows(), state.per_task), state.g_at < 0 ? 6 : 12);
  op.thread_scratch_bytes = plan.bytes();
  op.in_place = first_in_place(request);
  return op;
}

PreparedOp prepare_last_axis(const KernelRequest& request, int bias_at, int g_at) {
  if (has_f64(request)) return reference_backend().prepare(request);
  Norm state{};
  state.bias_at = bias_at;
  state.g_at = g_at;
  return prepare_norm(request, request.inputs[0], request.outputs[0], state);
}

}  // namespace

PreparedOp prepare_rms_norm(const KernelRequest& request) { return prepare_last_axis(request, -1, -1); }
PreparedOp prepare_rms_norm_backward(const KernelRequest& request) { return prepare_last_axis(request, -1, 2); }
PreparedOp prepare_layer_norm(const KernelRequest& request) { return prepare_last_axis(request, 2, -1); }
PreparedOp prepare_layer_norm_backward(const KernelRequest& request) { return prepare_last_axis(request, -1, 2); }

PreparedOp prepare_add_rms_norm(const KernelRequest& request) { return prepare_add_norm(request, "add_rms_norm"); }
PreparedOp prepare_add_layer_norm(const KernelRequest& request) { return prepare_add_norm(request, "add_layer_norm"); }

PreparedOp prepare_group_norm(const KernelRequest& request) {
  if (has_f64(request)) return reference_backend().prepare(request);
  const OperandSpec& x = request.inputs[0];
  Norm state{};
  state.groups = request.attrs[attr::group_norm::groups];
  state.bias_at = 2;
  for (int d = 2; d < x.shape.rank(); ++d) state.size *= x.shape[d];
  // A group's channels and their elements are neighbours in row-major order.
  const Shape rows{x.shape[0] * state.groups, x.shape[1] / state.groups * state.size};
  OperandSpec grouped = x, out = request.outputs[0];
  grouped.shape = out.shape = rows;
  grouped.strides = out.strides = contiguous_strides(rows);
  PreparedOp op = prepare_norm(request, grouped, out, state);
  if (!x.contiguous) op.needs_contiguous = 1;
  return op;
}

}  // namespace lazuli::cpu
#endif
