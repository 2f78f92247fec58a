// GELU (exact and with tanh), SiLU and sigmoid written in primitives.
#include "lazuli/op.h"
#include "passes/patterns/patterns.h"

namespace lazuli::patterns {

namespace {

template <Op op>
bool as_unary(Match& m) {
  return m.become(op, {m("x")}, {}, name_of(op));
}

}  // namespace

std::vector<PatternEntry> activations() {
  std::vector<PatternEntry> entries;
  entries.push_back(
      {"Sigmoid", {Pattern("reciprocal(add(exp(neg(x)), 1))"), Pattern("div(1, add(exp(neg(x)), 1))")}, as_unary<Op::sigmoid>});
  entries.push_back({"SiLU", {Pattern("mul(x, sigmoid(x))"), Pattern("div(x, add(exp(neg(x)), 1))")}, as_unary<Op::silu>});
  entries.push_back({"GELU",
                     {Pattern("mul(mul(x, 0.5), add(erf(mul(x, 0.70710678118654752)), 1))"),
                      Pattern("mul(x, mul(add(erf(mul(x, 0.70710678118654752)), 1), 0.5))"),
                      Pattern("mul(mul(x, add(erf(mul(x, 0.70710678118654752)), 1)), 0.5)"),
                      Pattern("mul(mul(x, 0.5), add(erf(div(x, 1.41421356237309505)), 1))"),
                      Pattern("mul(x, mul(add(erf(div(x, 1.41421356237309505)), 1), 0.5))"),
                      Pattern("mul(mul(x, add(erf(div(x, 1.41421356237309505)), 1)), 0.5)")},
                     as_unary<Op::gelu>});
  entries.push_back({"GELUTanh",
                     {Pattern("mul(mul(x, 0.5), add(tanh(mul(add(x, mul(mul(x, mul(x, x)), 0.044715)), 0.79788456080286536)), 1))"),
                      Pattern("mul(x, mul(add(tanh(mul(add(x, mul(mul(x, mul(x, x)), 0.044715)), 0.79788456080286536)), 1), 0.5))"),
                      Pattern("mul(mul(x, add(tanh(mul(add(x, mul(mul(x, mul(x, x)), 0.044715)), 0.79788456080286536)), 1)), 0.5)"),
                      Pattern("mul(mul(x, 0.5), add(tanh(mul(add(x, mul(mul(x, square(x)), 0.044715)), 0.79788456080286536)), 1))"),
                      Pattern("mul(x, mul(add(tanh(mul(add(x, mul(mul(x, square(x)), 0.044715)), 0.79788456080286536)), 1), 0.5))"),
                      Pattern("mul(mul(x, add(tanh(mul(add(x, mul(mul(x, square(x)), 0.044715)), 0.79788456080286536)), 1)), 0.5)")},
                     as_unary<Op::gelu_tanh>});
  return entries;
}

}  // namespace lazuli::patterns
