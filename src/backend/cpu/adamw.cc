// The AdamW step: one pass over parameter, gradient and both moments.
#include "backend/cpu/adamw.h"

#include <cmath>
#include <cstring>

#include "backend/cpu/tile_io.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/adamw.cc"
#include "backend/cpu/each_target.h"
#include "backend/cpu/row_loop.h"

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu {
namespace HWY_NAMESPACE {
namespace {

void adamw_tile(const AdamwTile& t, int64_t n) {
  const VF factor = splat(t.factor), keep = splat(t.keep), beta1 = splat(t.beta1), rest1 = splat(t.rest1), beta2 = splat(t.beta2);
  const VF rest2 = splat(t.rest2), correction = splat(t.correction), eps = splat(t.eps), rate = splat(t.rate);
  each_vector(n, [&](int64_t i, auto at) HWY_ATTR {
    const VF g = hn::Mul(at.load(t.gradient + i), factor);
    const VF m = hn::MulAdd(beta1, at.load(t.m + i), hn::Mul(rest1, g));
    const VF v = hn::MulAdd(beta2, at.load(t.v + i), hn::Mul(hn::Mul(rest2, g), g));
    const VF denominator = hn::Add(hn::Div(hn::Sqrt(v), correction), eps);
    const VF p = hn::Mul(at.load(t.parameter + i), keep);
    at.store(hn::NegMulAdd(rate, hn::Div(m, denominator), p), t.parameter_out + i);
    at.store(m, t.m_out + i);
    at.store(v, t.v_out + i);
  });
}
AdamwFn lookup_adamw() { return adamw_tile; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lazuli::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lazuli::cpu {
namespace {

HWY_EXPORT(lookup_adamw);

struct Adamw {
  AdamwFn fn;
  TileReader in[4];
  TileWriter out[3];
  DType dtype[11];
  int64_t numel;

  double number(const KernelArgs& args, size_t k) const { return factor(args.in[k], dtype[k]); }

  AdamwTile coefficients(const KernelArgs& args) const {
    const double rate = number(args, 4), beta1 = number(args, 5), beta2 = number(args, 6);
    const auto step = static_cast<double>(*static_cast<const int32_t*>(args.in[9]));
    AdamwTile t{};
    t.beta1 = static_cast<float>(beta1);
    t.rest1 = static_cast<float>(1 - beta1);
    t.beta2 = static_cast<float>(beta2);
    t.rest2 = static_cast<float>(1 - beta2);
    t.eps = static_cast<float>(number(args, 7));
    t.keep = static_cast<float>(1 - rate * number(args, 8));
    t.factor = static_cast<float>(number(args, 10));
    t.correction = static_cast<float>(std::sqrt(1 - std::pow(beta2, step)));
    t.rate = static_cast<float>(rate / (1 - std::pow(beta1, step)));
    return t;
  }

  static void keep(const AdamwTile& t, int64_t n) {
    const auto bytes = static_cast<size_t>(n) * sizeof(float);
    std::memmove(t.parameter_out, t.parameter, bytes);
    std::memmove(t.m_out, t.m, bytes);
    std::memmove(t.v_out, t.v, bytes);
  }

  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    AdamwTile t = coefficients(args);
    for (int64_t first = begin * kTile; first < std::min(end * kTile, numel); first += kTile) {
      const int64_t n = std::min(kTile, numel - first);
      t.parameter = in[0].at(args, args.in[0], first, n);
      t.gradient = in[1].at(args, args.in[1], first, n);
      t.m = in[2].at(args, args.in[2], first, n);
      t.v = in[3].at(args, args.in[3], first, n);
      t.parameter_out = out[0].at(args, args.out[0], first);
      t.m_out = out[1].at(args, args.out[1], first);
      t.v_out = out[2].at(args, args.out[2], first);
      if (std::isnan(t.factor)) {
        keep(t, n);
      } else {
        fn(t, n);
      }
      for (size_t j = 0; j < 3; ++j) out[j].finish(args, args.out[j], first, n);
    }
  }
};

}  // namespace

PreparedOp prepare_adamw(const KernelRequest& request) {
  const Shape& shape = request.inputs[0].shape;
  if (has_f64(request)) return reference_backend().prepare(request);
  ScratchPlan plan;
  Adamw state{};
  state.fn = HWY_DYNAMIC_DISPATCH(lookup_adamw)();
  state.numel = shape.numel();
  for (size_t k = 0; k < 4; ++k) state.in[k] = TileReader(request, request.inputs[k], shape, plan);
  for (size_t j = 0; j < 3; ++j) state.out[j] = TileWriter(request, request.outputs[j], plan);
  for (size_t k = 0; k < 11; ++k) state.dtype[k] = request.inputs[k].dtype;
  PreparedOp op = make_op(request, "adamw", state, tasks_for(state.numel, kTile), 14);
  op.thread_scratch_bytes = plan.bytes();
  op.in_place = {-1, -1, -1};
  const int source[] = {0, 2, 3};
  for (size_t j = 0; j < 3; ++j) {
    if (request.inputs[static_cast<size_t>(source[j])].contiguous) op.in_place[j] = source[j];
  }
  return op;
}

}  // namespace lazuli::cpu
#endif
