// Conformance cases of random draws, dropout and data made from attributes.
#include <bit>

#include "conformance/cases.h"
#include "lazuli/op.h"

namespace lazuli::conformance {

namespace {

const Shape kShapes[] = {{}, {1}, {1031}, {3, 5, 7}, {0, 4}};

Tensor seed(int64_t value) { return Tensor::from_vector(std::vector<int64_t>{value}, Shape{}); }

Cases full_cases(Op op) {
  Cases cases;
  for (DType t : kAll) {
    for (const Shape& shape : kShapes) {
      Attrs attrs;
      attrs.i[0] = std::bit_cast<int64_t>(t == DType::u8 ? 3.0 : -2.75);
      cases.push_back({std::string(lazuli::name_of(t)) + to_string(shape), {op, {}, attrs, TensorSpec{t, shape}}, {0, 0, 0}});
    }
  }
  return cases;
}
const RegisterCases kFullCases({Op::full}, full_cases);

Cases arange_cases(Op op) {
  Cases cases;
  for (DType t : kNumbers) {
    for (int64_t n : {0, 1, 17, 120}) {
      for (int64_t step : {1, 3, -1}) {
        if (t == DType::i8 && n * step > 127) continue;
        Attrs attrs;
        attrs.i[0] = step < 0 ? 125 : 0;
        attrs.i[1] = step;
        const std::string what = std::string(lazuli::name_of(t)) + " n=" + std::to_string(n) + " step=" + std::to_string(step);
        cases.push_back({what, {op, {}, attrs, TensorSpec{t, Shape{n}}}, {0, 0, 0}});
      }
    }
  }
  return cases;
}
const RegisterCases kArangeCases({Op::arange}, arange_cases);

Cases random_cases(Op op) {
  Cases cases;
  for (DType t : op == Op::random_bits ? std::vector<DType>{DType::i64} : kFloats) {
    for (const Shape& shape : kShapes) {
      for (int64_t s : {int64_t{0}, int64_t{-5}, int64_t{1} << 40}) {
        cases.push_back({std::string(lazuli::name_of(t)) + to_string(shape) + " seed " + std::to_string(s),
                         {op, {seed(s)}, {}, TensorSpec{t, shape}},
                         op == Op::random_normal ? Tolerance{8, 4, 1} : Tolerance{0, 0, 0}});
      }
    }
  }
  return cases;
}
const RegisterCases kRandomCases({Op::random_uniform, Op::random_normal, Op::random_bits}, random_cases);

Cases dropout_cases(Op op) {
  Cases cases;
  for (DType t : kFloats) {
    const auto call = [&](const Tensor& x, double p) { return OpCall{op, {x, scalar(DType::f32, p), seed(9)}}; };
    for (const Shape& shape : kShapes)
      cases.push_back({std::string(lazuli::name_of(t)) + to_string(shape), call(random(t, shape, 1), 0.3), {}});
    for (double p : {0.0, 1.0, 0.999}) {
      cases.push_back({std::string(lazuli::name_of(t)) + " p=" + std::to_string(p), call(random(t, {515}, 2), p), {}});
    }
    for (Layout layout : kLayouts) {
      cases.push_back({std::string(lazuli::name_of(t)) + " " + name_of(layout), call(laid_out(random(t, {5, 7, 9}, 3), layout), 0.5), {}});
    }
  }
  return cases;
}
const RegisterCases kDropoutCases({Op::dropout}, dropout_cases);

}  // namespace
}  // namespace lazuli::conformance
