// Compares the derivative of every op, first and second, with central differences in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "autograd/definitions.h"
#include "autograd/vjp_rules.h"
#include "lazuli/op.h"
#include "support/gradient_check.h"

namespace lazuli {
namespace {

constexpr Device kReference{DeviceKind::reference, 0};

class Gradient : public ::testing::TestWithParam<test::GradientCase> {};

TEST_P(Gradient, EqualsDifferenceQuotient) {
  const test::OnDevice device(kReference);
  EXPECT_LT(test::gradient_error(GetParam().f, GetParam().inputs), 1e-7);
}

TEST_P(Gradient, OfGradientEqualsDifferenceQuotient) {
  const test::OnDevice device(kReference);
  EXPECT_LT(test::gradient_error(test::gradient_of(GetParam().f), GetParam().inputs), 1e-6);
}

/// The case's function over the same operands in another dtype; rank-0 factors of composite ops stay f32.
Function narrowed(const test::GradientCase& c, DType dtype) {
  return [c, dtype](std::span<const LazyTensor> inputs) {
    std::vector<LazyTensor> operands;
    for (const LazyTensor& x : inputs) operands.push_back(cast(x, x.rank() == 0 && !is_elementwise(c.op) ? DType::f32 : dtype));
    return c.f(operands);
  };
}

/// Compares the case's gradients in a narrow dtype with those in f64.
void expect_close(const test::GradientCase& c, DType dtype, const std::vector<LazyTensor>& expected) {
  const auto found = test::gradient_of(narrowed(c, dtype))(c.inputs);
  const double tolerance = dtype == DType::f32 ? 1e-5 : 0.06;
  for (size_t k = 0; k < found.size(); ++k) {
    const auto want = expected[k].eval().to_vector<double>(), got = found[k].eval().to_vector<double>();
    for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], tolerance * std::max(1.0, std::abs(want[i]))) << name_of(dtype);
  }
}

class NarrowGradient : public Gradient {};

// Rules record operands and results in the right dtypes, and the kernels that they name exist.
TEST_P(NarrowGradient, IsCloseToDouble) {
  // Saved statistics are f32 beside 16-bit operands.
  const bool statistics = GetParam().op == Op::sdpa_backward || GetParam().op == Op::cross_entropy_backward;
  for (Device device : {kReference, Device{}}) {
    const test::OnDevice here(device);
    const auto expected = test::gradient_of(GetParam().f)(GetParam().inputs);
    for (DType dtype : {DType::f32, DType::bf16, DType::f16}) {
      if (!statistics || dtype == DType::f32) expect_close(GetParam(), dtype, expected);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, NarrowGradient, ::testing::ValuesIn(test::gradient_cases()),
                         [](const auto& test) { return test.param.name; });
INSTANTIATE_TEST_SUITE_P(Ops, Gradient, ::testing::ValuesIn(test::gradient_cases()), [](const auto& test) { return test.param.name; });

TEST(GradientCases, CoverEveryOpThatHasARule) {
  std::set<Op> covered;
  for (const test::GradientCase& c : test::gradient_cases()) covered.insert(c.op);
  for (int k = 0; k < kOpCount; ++k) {
    const Op op = static_cast<Op>(k);
    if (autograd::vjp_rule(op) == nullptr || autograd::vjp_rule(op) == autograd::vjp_rules::vjp_refused) continue;
    EXPECT_TRUE(covered.contains(op)) << name_of(op) << " has a derivative rule and no gradient case";
  }
}

TEST(GradientCases, EveryRuleByDefinitionHasADefinition) {
  for (int k = 0; k < kOpCount; ++k) {
    const Op op = static_cast<Op>(k);
    if (autograd::vjp_rule(op) != autograd::vjp_rules::vjp_by_definition) continue;
    EXPECT_TRUE(autograd::has_definition(op)) << name_of(op);
  }
}

}  // namespace
}  // namespace lazuli
