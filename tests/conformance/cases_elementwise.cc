// Conformance cases of elementwise ops.
#include "conformance/cases.h"
#include "lazuli/op.h"

namespace lazuli::conformance {

namespace {

/// The dtypes that an op takes, by its own rule.
std::vector<DType> dtypes_of(Op op, size_t operands) {
  std::vector<DType> dtypes;
  for (DType t : kAll) {
    const std::vector<TensorSpec> specs(operands, TensorSpec{t, Shape{1}});
    try {
      infer({op, {}, nullptr}, specs);
      dtypes.push_back(t);
    } catch (const Error&) {
      continue;
    }
  }
  return dtypes;
}

Tolerance tolerance_of(Op op) {
  if (op == Op::pow) return {32, 4, 1};
  return {4, 4, 1};
}

struct Range {
  double low, high;
};

/// Where an op is defined and its slope is moderate.
Range range_of(Op op, DType dtype) {
  if (op == Op::log || op == Op::sqrt || op == Op::rsqrt || op == Op::pow) return {0.1, 4};
  if (op == Op::exp || is_integer(dtype)) return {-10, 10};
  return {-4, 4};
}

Cases unary_cases(Op op) {
  Cases cases;
  for (DType t : dtypes_of(op, 1)) {
    const Range range = range_of(op, t);
    for (const Shape& shape : {Shape{}, Shape{1}, Shape{3, 1, 17}, Shape{1031}, Shape{0}, Shape{4, 0, 3}}) {
      cases.push_back({label(t, to_string(shape)), {op, {random(t, shape, 1, range.low, range.high)}}, tolerance_of(op)});
    }
    for (Layout layout : kLayouts) {
      const Tensor x = laid_out(random(t, Shape{5, 7, 9}, 2, range.low, range.high), layout);
      cases.push_back({label(t, name_of(layout)), {op, {x}}, tolerance_of(op)});
    }
    cases.push_back({label(t, "special"), {op, {special(t)}}, tolerance_of(op)});
  }
  return cases;
}
const RegisterCases kUnaryCases(OpClass::unary, unary_cases);

Cases cast_cases(Op op) {
  Cases cases;
  for (DType from : kAll) {
    for (DType to : kAll) {
      Attrs attrs;
      attrs.i[0] = static_cast<int64_t>(to);
      const std::string what = label(from, "to " + std::string(lazuli::name_of(to)));
      cases.push_back({what, {op, {random(from, Shape{7, 131}, 3, -100, 100)}, attrs}, {0, 0, 0}});
      cases.push_back({what + " stepped", {op, {laid_out(random(from, Shape{3, 5, 7}, 4, -3, 3), Layout::stepped)}, attrs}, {0, 0, 0}});
      cases.push_back({what + " special", {op, {special(from)}, attrs}, {0, 0, 0}});
    }
  }
  return cases;
}
const RegisterCases kCastCases({Op::cast}, cast_cases);

Cases binary_cases(Op op) {
  Cases cases;
  const std::pair<Shape, Shape> shapes[] = {
      {{}, {}},      {{1031}, {1031}}, {{3, 17}, {17}},           {{3, 17}, {3, 1}}, {{3, 1, 5}, {4, 1}}, {{7, 33}, {}},
      {{}, {7, 33}}, {{1, 4}, {3, 1}}, {{2, 1, 3, 9}, {5, 1, 9}}, {{0, 3}, {3}},     {{2, 0}, {2, 1}},    {{64, 64}, {64}},
  };
  for (DType t : dtypes_of(op, 2)) {
    const Range range = range_of(op, t);
    const auto make = [&](const Shape& shape, uint64_t seed) { return random(t, shape, seed, range.low, range.high); };
    for (const auto& [a, b] : shapes) {
      cases.push_back({label(t, to_string(a) + " " + to_string(b)), {op, {make(a, 5), make(b, 6)}}, tolerance_of(op)});
    }
    for (Layout a : kLayouts) {
      for (Layout b : kLayouts) {
        const std::string what = label(t, std::string(name_of(a)) + " " + name_of(b));
        cases.push_back({what, {op, {laid_out(make({5, 3, 9}, 7), a), laid_out(make({5, 3, 9}, 8), b)}}, tolerance_of(op)});
      }
    }
    const Tensor s = special(t);
    cases.push_back({label(t, "special"), {op, {s.reshape({s.numel(), 1}), s}}, tolerance_of(op)});
  }
  return cases;
}
const RegisterCases kBinaryCases(OpClass::binary, binary_cases);

Cases where_cases(Op op) {
  Cases cases;
  for (DType t : kAll) {
    const auto make = [&](const Shape& c, const Shape& a, const Shape& b) {
      return OpCall{op, {random(DType::boolean, c, 9, 0, 2), random(t, a, 10), random(t, b, 11)}};
    };
    for (const Shape& shape : {Shape{}, Shape{1031}, Shape{5, 0}, Shape{3, 7, 5}}) {
      cases.push_back({label(t, to_string(shape)), make(shape, shape, shape), {0, 0, 0}});
    }
    cases.push_back({label(t, "broadcast condition"), make({3, 1}, {3, 33}, {33}), {0, 0, 0}});
    cases.push_back({label(t, "broadcast values"), make({4, 3, 5}, {}, {3, 1}), {0, 0, 0}});
    for (Layout layout : kLayouts) {
      OpCall call = make({4, 3, 5}, {4, 3, 5}, {4, 3, 5});
      for (Tensor& x : call.inputs) x = laid_out(x, layout);
      cases.push_back({label(t, name_of(layout)), call, {0, 0, 0}});
    }
  }
  return cases;
}
const RegisterCases kWhereCases({Op::where}, where_cases);

Cases clip_cases(Op op) {
  Cases cases;
  for (DType t : kNumbers) {
    const double low = t == DType::u8 ? 1 : -1;
    for (const Shape& shape : {Shape{}, Shape{1031}, Shape{0, 2}}) {
      cases.push_back({label(t, to_string(shape)), {op, {random(t, shape, 12, -5, 5), scalar(t, low), scalar(t, 2)}}, {0, 0, 0}});
    }
    for (Layout layout : kLayouts) {
      const Tensor x = laid_out(random(t, Shape{5, 3, 9}, 13, -5, 5), layout);
      cases.push_back({label(t, name_of(layout)), {op, {x, scalar(t, low), scalar(t, 2)}}, {0, 0, 0}});
    }
    cases.push_back({label(t, "special"), {op, {special(t), scalar(t, low), scalar(t, 2)}}, {0, 0, 0}});
  }
  return cases;
}
const RegisterCases kClipCases({Op::clip}, clip_cases);

}  // namespace
}  // namespace lazuli::conformance
