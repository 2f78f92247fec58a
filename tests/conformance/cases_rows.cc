// Conformance cases of reductions and of ops on rows: softmax, norms, cross entropy.
#include <limits>

#include "conformance/cases.h"
#include "lazuli/op.h"
#include "support/attributes.h"

namespace lazuli::conformance {

namespace {

bool takes_integers(Op op) { return op == Op::sum || op == Op::max || op == Op::min || op == Op::argmax; }

struct Fold {
  Shape shape;
  int64_t axes;
};

std::vector<Fold> folds_of(Op op) {
  if (op == Op::argmax) return {{{1031}, 1}, {{5, 33}, 1}, {{5, 33}, 2}, {{3, 7, 5}, 2}, {{0, 4}, 2}};
  std::vector<Fold> folds = {{{}, 0},        {{1031}, 1},     {{5, 33}, 1},   {{5, 33}, 2},           {{5, 33}, 3},
                             {{3, 7, 5}, 2}, {{3, 7, 5}, 5},  {{3, 7, 5}, 6}, {{2, 3, 4, 5}, 0b1010}, {{4, 3}, 0},
                             {{70, 130}, 1}, {{2, 20000}, 2}, {{0, 4}, 2}};
  if (op != Op::max && op != Op::min) folds.insert(folds.end(), {{{0, 4}, 1}, {{3, 0}, 2}});
  return folds;
}

Cases reduce_cases(Op op) {
  Cases cases;
  for (DType t : takes_integers(op) ? kNumbers : kFloats) {
    for (const Fold& f : folds_of(op)) {
      for (int64_t keepdims : {0, 1}) {
        const std::string what = label(t, to_string(f.shape) + " axes " + std::to_string(f.axes) + " keepdims " + std::to_string(keepdims));
        cases.push_back({what, {op, {random(t, f.shape, 1, -20, 20)}, attrs(f.axes, keepdims)}, {4, 8, 1}});
        // Sums around 0 lose digits: compare with the size of what was added.
        if (op == Op::sum || op == Op::mean) cases.back().tolerance.spread = 400;
      }
    }
    for (Layout layout : kLayouts) {
      for (int64_t axes : op == Op::argmax ? std::vector<int64_t>{1, 2, 4} : std::vector<int64_t>{1, 2, 4, 3, 5, 7}) {
        const Tensor x = laid_out(random(t, {5, 7, 9}, 2, 0, 20), layout);
        cases.push_back({label(t, name_of(layout) + std::string(" axes ") + std::to_string(axes)), {op, {x}, attrs(axes)}, {4, 8, 1}});
      }
    }
    if (op == Op::var) cases.push_back({label(t, "correction"), {op, {random(t, {6, 65}, 3)}, attrs(2, 1, 1)}, {4, 8, 1}});
    const Tensor s = special(t);
    if (op != Op::var) cases.push_back({label(t, "special, each alone"), {op, {s.reshape({s.numel(), 1})}, attrs(2)}, {4, 8, 1}});
    if (takes_integers(op) && op != Op::sum) cases.push_back({label(t, "special"), {op, {s}, attrs(1)}, {0, 0, 0}});
  }
  return cases;
}
const RegisterCases kReduceCases({Op::sum, Op::mean, Op::max, Op::min, Op::logsumexp, Op::var, Op::argmax}, reduce_cases);

Cases softmax_cases(Op op) {
  Cases cases;
  const auto call = [&](const Tensor& x, int64_t axis) {
    OpCall c{op, {x}, attrs(axis)};
    if (op == Op::softmax_backward) c.inputs.push_back(random(x.dtype(), x.shape(), 9));
    if (op == Op::scaled_softmax) c.inputs.insert(c.inputs.end(), {scalar(DType::f32, 0.7), scalar(DType::f32, 1.5)});
    return c;
  };
  const Tolerance tolerance{8, 8, 1};
  for (DType t : kFloats) {
    for (const Fold& f :
         std::vector<Fold>{{{1}, 0}, {{1031}, 0}, {{5, 33}, 1}, {{5, 33}, 0}, {{3, 7, 5}, 1}, {{2, 4099}, 1}, {{0, 4}, 1}, {{4, 0}, 1}}) {
      cases.push_back(
          {label(t, to_string(f.shape) + " axis " + std::to_string(f.axes)), call(random(t, f.shape, 1, -8, 8), f.axes), tolerance});
    }
    for (Layout layout : kLayouts) {
      for (int64_t axis : {0, 1, 2}) {
        const std::string what = label(t, name_of(layout) + std::string(" axis ") + std::to_string(axis));
        cases.push_back({what, call(laid_out(random(t, {5, 7, 9}, 2), layout), axis), tolerance});
      }
    }
    if (op != Op::softmax_backward) {
      cases.push_back({label(t, "large"), call(random(t, {5, 33}, 3, -3e4, 3e4), 1), tolerance});
      constexpr float inf = std::numeric_limits<float>::infinity();
      cases.push_back({label(t, "masked"), call(vector<float>({1, -inf, 2, -inf}).to(t), 0), tolerance});
    }
  }
  return cases;
}
const RegisterCases kSoftmaxCases({Op::softmax, Op::log_softmax, Op::softmax_backward, Op::scaled_softmax}, softmax_cases);

Cases norm_cases(Op op) {
  Cases cases;
  const bool backward = op == Op::rms_norm_backward || op == Op::layer_norm_backward;
  const auto call = [&](const Tensor& x) {
    const Shape row{x.shape().back()};
    OpCall c{op, {x, random(x.dtype(), row, 5, 0.5, 1.5)}};
    if (op == Op::layer_norm) c.inputs.push_back(random(x.dtype(), row, 6));
    if (backward) c.inputs.push_back(random(x.dtype(), x.shape(), 7));
    c.inputs.push_back(scalar(DType::f32, 1e-5));
    return c;
  };
  const Tolerance tolerance{8, 16, 1};
  for (DType t : kFloats) {
    for (const Shape& shape : {Shape{33}, Shape{5, 1}, Shape{5, 33}, Shape{3, 7, 64}, Shape{2, 4099}, Shape{0, 4}, Shape{3, 0}}) {
      cases.push_back({label(t, to_string(shape)), call(random(t, shape, 1)), tolerance});
    }
    for (Layout layout : kLayouts)
      cases.push_back({label(t, name_of(layout)), call(laid_out(random(t, {5, 7, 19}, 2), layout)), tolerance});
    OpCall strided = call(random(t, {5, 32}, 3));
    for (Tensor& x : strided.inputs) x = laid_out(x, Layout::stepped);
    cases.push_back({label(t, "all operands stepped"), strided, tolerance});
    cases.push_back({label(t, "far from zero"), call(random(t, {3, 64}, 4, 9, 11)), {8, 64, 1}});
  }
  return cases;
}
const RegisterCases kNormCases({Op::rms_norm, Op::rms_norm_backward, Op::layer_norm, Op::layer_norm_backward}, norm_cases);

Cases add_norm_cases(Op op) {
  Cases cases;
  const auto call = [&](const Tensor& x, const Tensor& r) {
    const Shape row{x.shape().back()};
    OpCall c{op, {x, r, random(x.dtype(), row, 5, 0.5, 1.5)}};
    if (op == Op::add_layer_norm) c.inputs.push_back(random(x.dtype(), row, 6));
    c.inputs.push_back(scalar(DType::f32, 1e-5));
    return c;
  };
  for (DType t : kFloats) {
    // What is normed may be the sum as it is stored, rounded.
    const Tolerance tolerance{8, t == DType::bf16 ? 0x1p17 : t == DType::f16 ? 0x1p14 : 16, 1};
    for (const Shape& shape : {Shape{33}, Shape{5, 1}, Shape{5, 33}, Shape{3, 7, 64}, Shape{2, 4099}, Shape{0, 4}, Shape{3, 0}}) {
      cases.push_back({label(t, to_string(shape)), call(random(t, shape, 1), random(t, shape, 2)), tolerance});
    }
    for (Layout layout : kLayouts) {
      cases.push_back({label(t, name_of(layout)),
                       call(laid_out(random(t, {5, 7, 19}, 2), layout), laid_out(random(t, {5, 7, 19}, 3), layout)), tolerance});
    }
  }
  return cases;
}
const RegisterCases kAddNormCases({Op::add_rms_norm, Op::add_layer_norm}, add_norm_cases);

Cases group_norm_cases(Op op) {
  Cases cases;
  const auto call = [&](const Tensor& x, int64_t groups) {
    const Shape channels{x.shape()[1]};
    return OpCall{op, {x, random(x.dtype(), channels, 5), random(x.dtype(), channels, 6), scalar(DType::f32, 1e-5)}, attrs(groups)};
  };
  const Tolerance tolerance{8, 16, 1};
  for (DType t : kFloats) {
    for (const Shape& shape : {Shape{3, 6}, Shape{2, 6, 5}, Shape{2, 6, 5, 7}, Shape{0, 6, 2}, Shape{2, 6, 0}}) {
      for (int64_t groups : {1, 2, 3}) {
        cases.push_back({label(t, to_string(shape) + " groups " + std::to_string(groups)), call(random(t, shape, 1), groups), tolerance});
      }
    }
    for (Layout layout : kLayouts)
      cases.push_back({label(t, name_of(layout)), call(laid_out(random(t, {3, 4, 9}, 2), layout), 2), tolerance});
  }
  return cases;
}
const RegisterCases kGroupNormCases({Op::group_norm}, group_norm_cases);

Cases cross_entropy_cases(Op op) {
  Cases cases;
  const auto call = [&](const Tensor& logits, DType index, double smoothing) {
    Shape rows = logits.shape();
    const int64_t classes = rows.back();
    rows.resize(rows.rank() - 1);
    Tensor targets = random_indices(index, rows, classes, 4);
    if (rows.numel() > 2) {  // one row is ignored
      auto values = targets.to_vector<int64_t>();
      values[1] = -100;
      targets = Tensor::from_vector(values, rows).to(index);
    }
    OpCall c{Op::cross_entropy, {logits, targets, scalar(DType::f32, smoothing)}, attrs(-100)};
    if (op == Op::cross_entropy) return c;
    const Tensor lse = run(reference_backend(), c)[1];
    return OpCall{op, {logits, targets, c.inputs[2], lse, random(lse.dtype(), rows, 5)}, c.attrs};
  };
  const Tolerance tolerance{8, 8, 1};
  for (DType t : kFloats) {
    for (const Shape& shape : {Shape{33}, Shape{5, 1}, Shape{5, 33}, Shape{3, 4, 65}, Shape{3, 4099}, Shape{0, 4}}) {
      for (double smoothing : {0.0, 0.1}) {
        for (DType index : {DType::i32, DType::i64}) {
          const std::string what = to_string(shape) + " " + std::string(lazuli::name_of(index)) + " smoothing " + std::to_string(smoothing);
          cases.push_back({label(t, what), call(random(t, shape, 1, -6, 6), index, smoothing), tolerance});
        }
      }
    }
    for (Layout layout : kLayouts) {
      cases.push_back({label(t, name_of(layout)), call(laid_out(random(t, {3, 5, 19}, 2), layout), DType::i64, 0.1), tolerance});
    }
  }
  return cases;
}
const RegisterCases kCrossEntropyCases({Op::cross_entropy, Op::cross_entropy_backward}, cross_entropy_cases);

Cases adamw_cases(Op op) {
  Cases cases;
  struct Dtypes {
    DType parameter, gradient, moments;
  };
  const Dtypes dtypes[] = {{DType::f32, DType::f32, DType::f32},    {DType::bf16, DType::bf16, DType::f32},
                           {DType::f32, DType::bf16, DType::f32},   {DType::f16, DType::f16, DType::f32},
                           {DType::bf16, DType::bf16, DType::bf16}, {DType::f64, DType::f64, DType::f64}};
  for (const Dtypes& d : dtypes) {
    for (const Shape& shape : {Shape{}, Shape{1031}, Shape{7, 33}, Shape{0}}) {
      for (int step : {1, 1000}) {
        OpCall c{
            op,
            {random(d.parameter, shape, 1), random(d.gradient, shape, 2), random(d.moments, shape, 3), random(d.moments, shape, 4, 0, 1)}};
        for (double v : {1e-3, 0.9, 0.999, 1e-8, 0.01}) c.inputs.push_back(scalar(DType::f32, v));
        c.inputs.push_back(scalar(DType::i32, step));
        c.inputs.push_back(scalar(DType::f32, 0.5));
        cases.push_back({label(d.parameter, label(d.gradient, to_string(shape))) + " step " + std::to_string(step), c, {8, 8, 1}});
        if (shape.rank() < 2) continue;
        for (size_t k = 0; k < 4; ++k) c.inputs[k] = laid_out(c.inputs[k], k == 1 ? Layout::column_major : Layout::stepped);
        cases.push_back({label(d.parameter, label(d.gradient, "strided")), c, {8, 8, 1}});
      }
    }
  }
  // Several parameters, one of them empty; more than a launch of the cuda backend takes.
  for (const Dtypes& d : dtypes) {
    for (int64_t count : {3, 60}) {
      OpCall c{op, {}};
      for (int64_t k = 0; k < count; ++k) {
        const Shape shape = k == 1 ? Shape{0, 4} : k == 2 ? Shape{40, 67} : Shape{k + 1, 5};
        const auto seed = static_cast<uint64_t>(4 * k);
        c.inputs.push_back(random(d.parameter, shape, seed));
        c.inputs.push_back(laid_out(random(d.gradient, shape, seed + 1), k % 3 == 2 ? Layout::column_major : Layout::row_major));
        c.inputs.push_back(random(d.moments, shape, seed + 2));
        c.inputs.push_back(random(d.moments, shape, seed + 3, 0, 1));
      }
      for (double v : {1e-3, 0.9, 0.999, 1e-8, 0.01}) c.inputs.push_back(scalar(DType::f32, v));
      c.inputs.push_back(scalar(DType::i32, 3));
      c.inputs.push_back(scalar(DType::f32, 0.5));
      cases.push_back({label(d.parameter, label(d.gradient, std::to_string(count) + " parameters")), c, {8, 8, 1}});
    }
  }
  return cases;
}
const RegisterCases kAdamwCases({Op::adamw}, adamw_cases);

}  // namespace
}  // namespace lazuli::conformance
