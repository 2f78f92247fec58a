// The AdamW step: one pass over the parameters, gradients and both moments.
#include "backend/cpu/elementwise/adamw.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "backend/cpu/tiles/tile_io.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/elementwise/adamw.cc"
#include "backend/cpu/common/each_target.h"
#include "backend/cpu/tiles/row_loop.h"

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

constexpr size_t kNumbers = 7;

/// One parameter's operands and results.
struct Parameter {
  TileReader in[4];
  TileWriter out[3];
  int64_t numel, first_tile;
};

/// A task is one tile of one parameter.
struct Adamw {
  AdamwFn fn;
  std::vector<Parameter> parameters;
  DType dtype[kNumbers];

  double number(const KernelArgs& args, size_t k) const { return factor(args.in[4 * parameters.size() + k], dtype[k]); }

  AdamwTile coefficients(const KernelArgs& args) const {
    const double rate = number(args, 0), beta1 = number(args, 1), beta2 = number(args, 2);
    const auto step = static_cast<double>(*static_cast<const int32_t*>(args.in[4 * parameters.size() + 5]));
    AdamwTile t{};
    t.beta1 = static_cast<float>(beta1);
    t.rest1 = static_cast<float>(1 - beta1);
    t.beta2 = static_cast<float>(beta2);
    t.rest2 = static_cast<float>(1 - beta2);
    t.eps = static_cast<float>(number(args, 3));
    t.keep = static_cast<float>(1 - rate * number(args, 4));
    t.factor = static_cast<float>(number(args, 6));
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
    const auto after =
        std::upper_bound(parameters.begin(), parameters.end(), begin, [](int64_t tile, const Parameter& p) { return tile < p.first_tile; });
    auto index = static_cast<size_t>(after - parameters.begin()) - 1;
    for (int64_t tile = begin; tile < end; ++tile) {
      while (index + 1 < parameters.size() && parameters[index + 1].first_tile <= tile) ++index;
      step(args, index, tile - parameters[index].first_tile, t);
    }
  }

  void step(const KernelArgs& args, size_t index, int64_t tile, AdamwTile& t) const {
    const Parameter& p = parameters[index];
    const void* const* in = args.in + 4 * index;
    void* const* out = args.out + 3 * index;
    const int64_t first = tile * kTile, n = std::min(kTile, p.numel - first);
    t.parameter = p.in[0].at(args, in[0], first, n);
    t.gradient = p.in[1].at(args, in[1], first, n);
    t.m = p.in[2].at(args, in[2], first, n);
    t.v = p.in[3].at(args, in[3], first, n);
    t.parameter_out = p.out[0].at(args, out[0], first);
    t.m_out = p.out[1].at(args, out[1], first);
    t.v_out = p.out[2].at(args, out[2], first);
    if (std::isnan(t.factor)) {
      keep(t, n);
    } else {
      fn(t, n);
    }
    for (size_t j = 0; j < 3; ++j) p.out[j].finish(args, out[j], first, n);
  }
};

}  // namespace

PreparedOp prepare_adamw(const KernelRequest& request) {
  if (has_f64(request)) return reference_backend().prepare(request);
  Adamw state{};
  state.fn = HWY_DYNAMIC_DISPATCH(lookup_adamw)();
  state.parameters.resize((request.inputs.size() - kNumbers) / 4);
  size_t scratch = 0;
  int64_t tiles = 0;
  double elements = 0;
  std::vector<int> in_place;
  for (size_t index = 0; index < state.parameters.size(); ++index) {
    Parameter& p = state.parameters[index];
    const size_t first = 4 * index;
    const Shape& shape = request.inputs[first].shape;
    ScratchPlan plan;  // one parameter at a time
    for (size_t k = 0; k < 4; ++k) p.in[k] = TileReader(request, request.inputs[first + k], shape, plan);
    for (size_t j = 0; j < 3; ++j) p.out[j] = TileWriter(request, request.outputs[3 * index + j], plan);
    p.numel = shape.numel();
    p.first_tile = tiles;
    tiles += tasks_for(p.numel, kTile);
    elements += static_cast<double>(p.numel);
    scratch = std::max(scratch, plan.bytes());
    for (size_t source : {first, first + 2, first + 3}) {
      in_place.push_back(request.inputs[source].contiguous ? static_cast<int>(source) : -1);
    }
  }
  for (size_t k = 0; k < kNumbers; ++k) state.dtype[k] = request.inputs[4 * state.parameters.size() + k].dtype;
  PreparedOp op = make_op(request, "adamw", std::move(state), tiles);
  op.flops = 14 * elements;
  op.thread_scratch_bytes = scratch;
  op.in_place = std::move(in_place);
  return op;
}

}  // namespace lazuli::cpu
#endif
