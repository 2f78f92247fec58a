// Compares the derivative of every op, first and second, with central differences in double.
#include <gtest/gtest.h>

#include <set>

#include "autograd/definitions.h"
#include "autograd/vjp_rules.h"
#include "support/gradient_check.h"

namespace lazuli {
namespace {

constexpr Device kReference{DeviceKind::reference, 0};

class Gradient : public ::testing::TestWithParam<testing::GradientCase> {};

TEST_P(Gradient, EqualsDifferenceQuotient) {
  const testing::OnDevice device(kReference);
  EXPECT_LT(testing::gradient_error(GetParam().f, GetParam().inputs), 1e-7);
}

TEST_P(Gradient, OfGradientEqualsDifferenceQuotient) {
  const testing::OnDevice device(kReference);
  EXPECT_LT(testing::gradient_error(testing::gradient_of(GetParam().f), GetParam().inputs), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Ops, Gradient, ::testing::ValuesIn(testing::gradient_cases()), [](const auto& test) { return test.param.name; });

TEST(GradientCases, CoverEveryOpThatHasARule) {
  std::set<Op> covered;
  for (const testing::GradientCase& c : testing::gradient_cases()) covered.insert(c.op);
  for (int k = 0; k < kOpCount; ++k) {
    const Op op = static_cast<Op>(k);
    if (autograd::vjp_rule(op) == nullptr) continue;
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
