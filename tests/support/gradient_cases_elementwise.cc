// Gradient cases of elementwise ops and reductions.
#include "autograd/vjp_rules.h"
#include "lazuli/op.h"
#include "support/gradient_check.h"

namespace lazuli::test {

namespace {

using X = std::span<const LazyTensor>;
using Y = std::vector<LazyTensor>;

GradientCase unary(Op op, double low = -1.5, double high = 1.5) {
  return {op, std::string(name_of(op)), {numbers({2, 3}, static_cast<int>(op), low, high)}, [op](X x) { return Y{record(op, {x[0]})}; }};
}

GradientCase binary(Op op, const std::string& what, const Shape& a, const Shape& b, double low = -1.5, double high = 1.5) {
  return {op,
          std::string(name_of(op)) + what,
          {numbers(a, static_cast<int>(op), low, high), numbers(b, static_cast<int>(op) + 100, low, high)},
          [op](X x) {
            return Y{record(op, {x[0], x[1]})};
          }};
}

GradientCase reduction(Op op, const std::string& what, int64_t mask, int64_t keepdims, int64_t correction = 0) {
  Attrs attrs;
  attrs.i = {mask, keepdims, correction, 0};
  return {op, std::string(name_of(op)) + what, {numbers({2, 3, 2}, static_cast<int>(op))}, [op, attrs](X x) {
            return Y{record(op, {x[0]}, attrs)};
          }};
}

/// Every unary op that has a rule and needs no attributes.
void add_unary(std::vector<GradientCase>& cases) {
  for (int k = 0; k < kOpCount; ++k) {
    const Op op = static_cast<Op>(k);
    if (info(op).cls != OpClass::unary || op == Op::cast || autograd::vjp_rule(op) == nullptr) continue;
    const bool positive = op == Op::log || op == Op::sqrt || op == Op::rsqrt || op == Op::reciprocal;
    cases.push_back(positive ? unary(op, 0.5, 2) : unary(op));
  }
}

void add_reductions(std::vector<GradientCase>& cases) {
  for (Op op : {Op::sum, Op::mean, Op::max, Op::min, Op::logsumexp, Op::var}) {
    cases.push_back(reduction(op, "_all", 7, 0));
    cases.push_back(reduction(op, "_middle", 2, 0));
    cases.push_back(reduction(op, "_outer_kept", 5, 1));
  }
  cases.push_back(reduction(Op::var, "_unbiased", 6, 0, 1));
}

std::vector<GradientCase> elementwise_gradient_cases() {
  std::vector<GradientCase> cases;
  add_unary(cases);
  for (Op op : {Op::add, Op::sub, Op::mul, Op::maximum, Op::minimum}) {
    cases.push_back(binary(op, "_same", {2, 3}, {2, 3}));
    cases.push_back(binary(op, "_broadcast", {2, 1}, {3}));
    cases.push_back(binary(op, "_scalar", {2, 2}, {}));
  }
  cases.push_back(binary(Op::div, "_same", {2, 3}, {2, 3}, 0.5, 2));
  cases.push_back(binary(Op::div, "_broadcast", {3}, {2, 1}, 0.5, 2));
  cases.push_back(binary(Op::pow, "_same", {2, 2}, {2, 2}, 0.5, 2));
  cases.push_back(binary(Op::pow, "_scalar", {2, 3}, {}, 0.5, 2));
  Attrs to_f64;
  to_f64.i[0] = static_cast<int64_t>(DType::f64);
  cases.push_back({Op::cast, "cast", {numbers({2, 3}, 1)}, [to_f64](X x) { return Y{record(Op::cast, {x[0]}, to_f64)}; }});
  cases.push_back({Op::where, "where", {numbers({2, 3}, 1), numbers({3}, 2)}, [](X x) {
                     const LazyTensor condition = LazyTensor::from_slice<bool>({true, false, true, false, false, true}, {2, 3});
                     return Y{where(condition, square(x[0]), exp(x[1]))};
                   }});
  cases.push_back({Op::clip, "clip", {numbers({7}, 3), numbers({}, 4, -0.4, -0.3), numbers({}, 5, 0.3, 0.4)}, [](X x) {
                     return Y{clip(x[0], x[1], x[2])};
                   }});
  add_reductions(cases);
  return cases;
}
const RegisterGradients kElementwiseGradients(elementwise_gradient_cases);

}  // namespace

}  // namespace lazuli::test
