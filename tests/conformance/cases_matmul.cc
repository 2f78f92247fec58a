// Conformance cases of matrix products.
#include "conformance/cases.h"
#include "lazuli/op.h"
#include "support/attributes.h"

namespace lazuli::conformance {

namespace {

/// A matrix (the last two dims of `shape`), given transposed when asked.
Tensor matrix(DType t, Shape shape, bool transposed, uint64_t seed, double limit = 1) {
  if (transposed) std::swap(shape[shape.rank() - 1], shape[shape.rank() - 2]);
  return random(t, shape, seed, -limit, limit);
}

/// Products are summed in f32 in an order that is the backend's own.
constexpr Tolerance kProduct{8, 64, 1};
/// A 16-bit intermediate may be rounded: its error spreads over the whole result.
Tolerance two_products(DType t) { return {8, t == DType::bf16 ? 0x1p17 : t == DType::f16 ? 0x1p14 : 64, 1}; }

/// Sizes above the blocks that kernels cut products into.
void add_large_products(Cases& cases) {
  for (DType t : {DType::f32, DType::bf16, DType::f16}) {
    for (const auto& [a, b] : {std::pair<Shape, Shape>{{65, 1100}, {1100, 67}}, {{1, 700}, {700, 1030}}, {{301, 40}, {40, 130}}}) {
      for (int transposes = 0; transposes < 4; ++transposes) {
        const int ta = transposes & 1, tb = transposes >> 1;
        cases.push_back({label(t, "large " + to_string(a) + " transposes " + std::to_string(transposes)),
                         {Op::matmul, {matrix(t, a, ta != 0, 5), matrix(t, b, tb != 0, 6)}, attrs(ta, tb)},
                         kProduct});
      }
    }
  }
}

Cases matmul_cases(Op op) {
  Cases cases;
  const std::pair<Shape, Shape> shapes[] = {
      {{1, 1}, {1, 1}},       {{5, 33}, {33, 7}},     {{64, 64}, {64, 64}},   {{1, 129}, {129, 65}},     {{129, 1}, {1, 17}},
      {{3, 5, 9}, {3, 9, 4}}, {{3, 5, 9}, {9, 4}},    {{5, 9}, {3, 9, 4}},    {{2, 1, 5, 9}, {3, 9, 4}}, {{0, 4}, {4, 3}},
      {{4, 0}, {0, 3}},       {{0, 4, 5}, {0, 5, 6}}, {{17, 300}, {300, 19}},
  };
  for (DType t : kNumbers) {
    for (const auto& [a, b] : shapes) {
      for (int ta : {0, 1}) {
        for (int tb : {0, 1}) {
          const std::string what = to_string(a) + (ta != 0 ? "^T " : " ") + to_string(b) + (tb != 0 ? "^T" : "");
          const double limit = is_float(t) ? 1 : 10;
          cases.push_back(
              {label(t, what), {op, {matrix(t, a, ta != 0, 1, limit), matrix(t, b, tb != 0, 2, limit)}, attrs(ta, tb)}, kProduct});
        }
      }
    }
    for (Layout a : kLayouts) {
      for (Layout b : kLayouts) {
        const Tensor left = laid_out(random(t, {3, 7, 9}, 3), a), right = laid_out(random(t, {3, 9, 5}, 4), b);
        cases.push_back({label(t, std::string(name_of(a)) + " " + name_of(b)), {op, {left, right}}, kProduct});
        cases.push_back({label(t, std::string("2-d ") + name_of(a) + " " + name_of(b)),
                         {op, {laid_out(random(t, {7, 9}, 3), a), laid_out(random(t, {9, 5}, 4), b)}},
                         kProduct});
        cases.push_back({label(t, std::string("one row each ") + name_of(a) + " " + name_of(b)),
                         {op, {laid_out(random(t, {2, 3, 1, 9}, 3), a), laid_out(random(t, {9, 5}, 4), b)}},
                         kProduct});
      }
    }
  }
  add_large_products(cases);
  return cases;
}
const RegisterCases kMatmulCases({Op::matmul}, matmul_cases);

/// None, and every op that a product may apply.
std::vector<Op> activations() {
  std::vector<Op> ops{Op::input};
  for (int k = 0; k < kOpCount; ++k) {
    if (has_trait(static_cast<Op>(k), OpTrait::activation)) ops.push_back(static_cast<Op>(k));
  }
  return ops;
}

Cases linear_cases(Op op) {
  Cases cases;
  const auto call = [&](DType t, const Shape& x, int64_t n, bool transposed, int64_t parts, Op activation) {
    Shape out = x;
    out[out.rank() - 1] = n;
    OpCall c{
        op, {random(t, x, 1), matrix(t, {x.back(), n}, transposed, 2)}, attrs(transposed ? 1 : 0, parts, static_cast<int64_t>(activation))};
    if ((parts & 1) != 0) c.inputs.push_back(random(t, {n}, 3));
    if ((parts & 2) != 0) c.inputs.push_back(random(t, out, 4));
    return c;
  };
  for (DType t : kFloats) {
    for (const Shape& x : {Shape{33}, Shape{5, 33}, Shape{2, 3, 64}, Shape{0, 8}, Shape{3, 0}}) {
      for (int64_t parts : {0, 1, 2, 3}) {
        for (const Op activation : activations()) {
          const std::string what = to_string(x) + " parts " + std::to_string(parts) + " " +
                                   (activation == Op::input ? "" : std::string(lazuli::name_of(activation)));
          cases.push_back({label(t, what), call(t, x, 17, parts % 2 == 0, parts, activation), kProduct});
        }
      }
    }
    cases.push_back({label(t, "large"), call(t, {131, 257}, 70, true, 3, Op::gelu), kProduct});
    cases.push_back({label(t, "large, one row"), call(t, {1, 700}, 530, true, 1, Op::silu), kProduct});
    for (Op activation : {Op::tanh, Op::sigmoid}) {
      cases.push_back({label(t, std::string(lazuli::name_of(activation))), call(t, {5, 33}, 9, false, 1, activation), kProduct});
    }
    for (Layout layout : kLayouts) {
      OpCall c = call(t, {3, 5, 19}, 7, false, 3, Op::silu);
      for (size_t k = 0; k < 4; ++k) c.inputs[k] = k == 2 ? c.inputs[k] : laid_out(c.inputs[k], layout);
      cases.push_back({label(t, name_of(layout)), c, kProduct});
    }
  }
  return cases;
}
const RegisterCases kLinearCases({Op::linear}, linear_cases);

Cases lora_cases(Op op) {
  Cases cases;
  const auto call = [&](DType t, const Shape& x, int64_t n, int64_t r, bool transposed, bool bias) {
    const int64_t flag = transposed ? 1 : 0;
    OpCall c{op, {random(t, x, 1)}, attrs(flag, flag, flag)};
    if (op == Op::lora_linear) c.inputs.push_back(matrix(t, {x.back(), n}, transposed, 2));
    c.inputs.push_back(matrix(t, {x.back(), r}, transposed, 3));
    c.inputs.push_back(matrix(t, {r, n}, transposed, 4));
    c.inputs.push_back(scalar(DType::f32, 1.5));
    if (bias) c.inputs.push_back(random(t, {n}, 5));
    return c;
  };
  for (DType t : kFloats) {
    for (const Shape& x : {Shape{33}, Shape{5, 33}, Shape{2, 3, 64}, Shape{130, 64}, Shape{0, 8}}) {
      for (int64_t r : {1, 8, 16}) {
        for (bool transposed : {false, true}) {
          for (bool bias : {false, true}) {
            if (bias && op == Op::lora_fused) continue;
            const std::string what = to_string(x) + " r " + std::to_string(r) + (transposed ? " transposed" : "") + (bias ? " bias" : "");
            cases.push_back({label(t, what), call(t, x, 17, r, transposed, bias), two_products(t)});
          }
        }
      }
    }
    for (Layout layout : kLayouts) {
      OpCall c = call(t, {3, 5, 19}, 7, 4, false, false);
      for (Tensor& x : c.inputs) x = laid_out(x, layout);
      cases.push_back({label(t, name_of(layout)), c, two_products(t)});
    }
  }
  return cases;
}
const RegisterCases kLoraCases({Op::lora_fused, Op::lora_linear}, lora_cases);

Cases linear_cross_entropy_cases(Op op) {
  Cases cases;
  const auto call = [&](DType t, const Shape& x, int64_t classes, bool transposed, double smoothing, DType index, double softcap = 0) {
    Shape rows = x;
    rows.resize(x.rank() - 1);
    Tensor targets = random_indices(index, rows, classes, 4);
    if (rows.numel() > 2) {  // one row is ignored
      auto values = targets.to_vector<int64_t>();
      values[1] = -100;
      targets = Tensor::from_vector(values, rows).to(index);
    }
    OpCall c{op,
             {random(t, x, 1), matrix(t, {x.back(), classes}, transposed, 2), targets, scalar(DType::f32, smoothing)},
             attrs(-100, transposed ? 1 : 0, softcap != 0 ? 1 : 0)};
    if (softcap != 0) c.inputs.push_back(scalar(DType::f32, softcap));
    return c;
  };
  for (DType t : kFloats) {
    for (const Shape& x : {Shape{1, 5}, Shape{5, 1}, Shape{2, 3, 33}, Shape{70, 16}, Shape{0, 8}}) {
      for (int64_t classes : {1, 33, 1000}) {
        for (bool transposed : {false, true}) {
          const std::string what = to_string(x) + " " + std::to_string(classes) + (transposed ? " transposed" : "");
          cases.push_back({label(t, what), call(t, x, classes, transposed, 0, DType::i32), two_products(t)});
          cases.push_back({label(t, what + " smoothed"), call(t, x, classes, transposed, 0.1, DType::i64), two_products(t)});
          cases.push_back({label(t, what + " capped"), call(t, x, classes, transposed, 0, DType::i32, 2), two_products(t)});
        }
      }
    }
    // More rows than a block and more columns than a segment.
    for (const double softcap : {0.0, 1.5}) {
      const std::string how = softcap != 0 ? ", capped" : "";
      cases.push_back({label(t, "blocks" + how), call(t, {519, 8}, 1100, true, 0.1, DType::i32, softcap), two_products(t)});
    }
    // The gradient of logits that were rounded is a sum of 20,001 rounded products.
    Tolerance many = two_products(t);
    if (size_of(t) == 2) many.spread *= 4;
    cases.push_back({label(t, "segments"), call(t, {3, 64}, 20001, true, 0.1, DType::i32), many});
    for (Layout layout : kLayouts) {
      OpCall c = call(t, {3, 5, 19}, 40, false, 0.1, DType::i64);
      for (size_t k = 0; k < 3; ++k) c.inputs[k] = laid_out(c.inputs[k], layout);
      cases.push_back({label(t, name_of(layout)), c, two_products(t)});
    }
  }
  return cases;
}
const RegisterCases kLinearCrossEntropyCases({Op::linear_cross_entropy}, linear_cross_entropy_cases);

Cases gated_linear_cases(Op op) {
  Cases cases;
  const auto call = [&](DType t, const Shape& x, int64_t n, bool transposed, Op activation) {
    return OpCall{op,
                  {random(t, x, 1), matrix(t, {x.back(), n}, transposed, 2), matrix(t, {x.back(), n}, transposed, 3)},
                  attrs(transposed ? 1 : 0, 0, static_cast<int64_t>(activation))};
  };
  for (DType t : kFloats) {
    for (const Shape& x : {Shape{33}, Shape{5, 33}, Shape{2, 3, 64}, Shape{0, 8}, Shape{3, 0}}) {
      for (Op activation : {Op::gelu, Op::silu, Op::sigmoid}) {
        for (bool transposed : {false, true}) {
          const std::string what = to_string(x) + (transposed ? " transposed " : " ") + std::string(lazuli::name_of(activation));
          cases.push_back({label(t, what), call(t, x, 17, transposed, activation), two_products(t)});
        }
      }
    }
    cases.push_back({label(t, "large"), call(t, {131, 257}, 270, true, Op::silu), two_products(t)});
    cases.push_back({label(t, "large, given as (k, n)"), call(t, {131, 257}, 270, false, Op::gelu_tanh), two_products(t)});
    cases.push_back({label(t, "large, one row"), call(t, {1, 700}, 530, true, Op::silu), two_products(t)});
    for (Layout layout : kLayouts) {
      OpCall c = call(t, {3, 5, 19}, 7, false, Op::silu);
      c.inputs[0] = laid_out(c.inputs[0], layout);
      c.inputs[2] = laid_out(c.inputs[2], layout);
      cases.push_back({label(t, std::string(name_of(layout)) + " up"), c, two_products(t)});
      c.inputs[1] = laid_out(c.inputs[1], layout);
      cases.push_back({label(t, name_of(layout)), c, two_products(t)});
    }
  }
  return cases;
}
const RegisterCases kGatedLinearCases({Op::gated_linear}, gated_linear_cases);

Cases lora_rows_cases(Op op) {
  Cases cases;
  const auto call = [&](DType t, const Shape& x, int64_t n, int64_t r, const std::vector<int32_t>& choice, bool base) {
    OpCall c{op,
             {random(t, x, 1), random(t, {3, r, x.back()}, 2), random(t, {3, n, r}, 3), random(DType::f32, {3}, 4, 0.5, 2),
              Tensor::from_vector(choice, {x[0]})}};
    if (base) c.inputs.push_back(random(t, {x[0], x[1], n}, 5));
    return c;
  };
  for (DType t : kFloats) {
    for (bool base : {false, true}) {
      const std::string with = base ? " with base" : "";
      for (int64_t r : {1, 8}) {
        cases.push_back({label(t, "r " + std::to_string(r) + with), call(t, {4, 5, 33}, 17, r, {2, -1, 0, 2}, base), two_products(t)});
      }
      cases.push_back({label(t, "one token" + with), call(t, {3, 1, 64}, 40, 4, {1, 0, -1}, base), two_products(t)});
      cases.push_back({label(t, "none" + with), call(t, {2, 3, 8}, 5, 4, {-1, -1}, base), two_products(t)});
      cases.push_back({label(t, "no entry" + with), call(t, {0, 3, 8}, 5, 4, {}, base), two_products(t)});
      cases.push_back({label(t, "no token" + with), call(t, {2, 0, 8}, 5, 4, {1, -1}, base), two_products(t)});
      cases.push_back({label(t, "large" + with), call(t, {2, 130, 600}, 520, 48, {1, 2}, base), two_products(t)});
    }
    for (Layout layout : kLayouts) {
      OpCall c = call(t, {3, 5, 19}, 7, 4, {0, 1, 2}, true);
      for (Tensor& x : c.inputs) x = laid_out(x, layout);
      cases.push_back({label(t, name_of(layout)), c, two_products(t)});
    }
  }
  return cases;
}
const RegisterCases kLoraRowsCases({Op::lora_rows}, lora_rows_cases);

}  // namespace
}  // namespace lazuli::conformance
