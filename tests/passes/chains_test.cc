#include <algorithm>

#include "lazuli/op.h"
#include "passes/chain_groups.h"
#include "passes/test_graph.h"

namespace lazuli {
namespace {

TEST(Chains, ConnectedElementwiseNodesBecomeOne) {
  TestGraph t;
  Value x = t.in({2, 3}), row = t.in({3}), s = t.scalar();
  Value y = t.op(Op::add, {t.op(Op::exp, {t.op(Op::mul, {x, s})}), row});
  auto g = t.done({t.op(Op::tanh, {y})});
  auto after = optimized(g);
  EXPECT_EQ(after.size(), 4u);
  const GraphNode* n = labelled(after, "ElementwiseChain");
  ASSERT_NE(n, nullptr);
  EXPECT_EQ(n->program()->code.size(), 4u);
  EXPECT_EQ(n->program()->inputs, 3);
  expect_equivalent(g, after);
}

TEST(Chains, OneOpAloneStays) {
  TestGraph t;
  auto after = optimized(t.done({t.op(Op::exp, {t.in({2})})}));
  EXPECT_EQ(count(after, Op::exp), 1);
}

TEST(Chains, IntermediatesThatAreReadElsewhereBecomeResults) {
  TestGraph t;
  Value x = t.in({2, 3});
  Value y = t.op(Op::exp, {x});
  Value z = t.op(Op::sin, {y});
  auto g = t.done({t.op(Op::sqrt, {z}), y, t.op(Op::softmax, {z}, 1)});
  auto after = optimized(g);
  ASSERT_NE(labelled(after, "ElementwiseChain"), nullptr);
  EXPECT_EQ(labelled(after, "ElementwiseChain")->outputs.size(), 3u);
  EXPECT_EQ(after.size(), 3u);
  expect_equivalent(g, after);
}

TEST(Chains, EndInAReduction) {
  for (Op op : {Op::sum, Op::mean, Op::max, Op::min}) {
    TestGraph t;
    Value x = t.in({2, 3, 4}), y = t.in({3, 1});
    auto g = t.done({t.op(op, {t.op(Op::exp, {t.op(Op::mul, {x, y})})}, 5, 1)});
    auto after = optimized(g);
    EXPECT_EQ(after.size(), 3u);
    expect_equivalent(g, after);
  }
}

TEST(Chains, OneOpAndItsReductionBecomeOne) {
  TestGraph t;
  Value x = t.in({2, 3});
  auto g = t.done({t.op(Op::sum, {t.op(Op::mul, {x, t.in({2, 3})})}, 3)});
  auto after = optimized(g);
  EXPECT_EQ(after.size(), 3u);
  EXPECT_NE(labelled(after, "ElementwiseChain+sum"), nullptr);
  expect_equivalent(g, after);
}

TEST(Chains, TheReducedValueMustHaveNoOtherUser) {
  TestGraph t;
  Value y = t.op(Op::exp, {t.op(Op::neg, {t.in({2, 3})})});
  OptimizerReport report;
  auto g = t.done({t.op(Op::sum, {y}, 3), y});
  auto after = optimized(g, &report);
  EXPECT_EQ(count(after, Op::sum), 1);
  EXPECT_TRUE(refused(report, "ElementwiseChain", "another user"));
  expect_equivalent(g, after);
}

TEST(Chains, AReductionTakesTheLastStepOfAChainWithOtherResults) {
  TestGraph t;
  Value y = t.op(Op::exp, {t.op(Op::neg, {t.in({2, 3})})});
  auto g = t.done({t.op(Op::sum, {t.op(Op::mul, {y, t.in({2, 3})})}, 2), y});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::sum), 0);
  EXPECT_EQ(count(after, Op::fused_elementwise), 2);
  expect_equivalent(g, after);
}

TEST(Chains, NeverLeaveAndComeBack) {
  TestGraph t;
  Value x = t.in({3, 3});
  Value y = t.op(Op::exp, {t.op(Op::neg, {x})});
  Value m = t.op(Op::matmul, {y, x});
  // y + y@x: one chain would need its own result.
  auto g = t.done({t.op(Op::sqrt, {t.op(Op::abs, {t.op(Op::mul, {m, y})})})});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::fused_elementwise), 2);
  expect_equivalent(g, after);
}

TEST(Chains, NeverLeaveThroughAnotherChain) {
  TestGraph t;
  Value x = t.in({3, 3});
  Value y = t.op(Op::exp, {t.op(Op::neg, {x})});
  // The row is another iteration space, computed from y and used with y.
  Value row = t.op(Op::sqrt, {t.op(Op::abs, {t.op(Op::sum, {y}, 1)})});
  auto g = t.done({t.op(Op::sin, {t.op(Op::mul, {y, row})})});
  auto after = optimized(g);
  expect_equivalent(g, after);
}

TEST(Chains, WaitForTheirUsers) {
  TestGraph t;
  Value x = t.in({3, 3}), z = t.in({3, 3});
  Value early = t.op(Op::exp, {t.op(Op::neg, {z})});
  Value late = t.op(Op::softmax, {t.op(Op::matmul, {t.op(Op::softmax, {x}, 1), x})}, 1);
  auto g = t.done({t.op(Op::mul, {early, late})});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::fused_elementwise), 1) << "exp and neg run where their result is used";
  EXPECT_EQ(count(after, Op::mul), 0);
  expect_equivalent(g, after);
}

TEST(Chains, CopiesAndBarriersAreNotCrossed) {
  TestGraph t;
  Value x = t.in({2, 3});
  Value y = t.op(Op::copy, {t.op(Op::exp, {t.op(Op::neg, {x})})});
  Value z = t.op(Op::barrier, {t.op(Op::sin, {t.op(Op::abs, {y})}), x});
  auto g = t.done({t.op(Op::cos, {t.op(Op::tanh, {z})})});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::copy), 1);
  EXPECT_EQ(count(after, Op::barrier), 1);
  EXPECT_EQ(count(after, Op::fused_elementwise), 3);
  expect_equivalent(g, after);
}

TEST(Chains, IntegersStayOutsideButMayBeCastAtTheEntrance) {
  TestGraph t;
  Value i = t.in({4}, DType::i32);
  Value sum = t.op(Op::add, {t.op(Op::mul, {i, i}), i});
  auto g = t.done({t.op(Op::exp, {t.op(Op::neg, {t.cast(sum, DType::f32)})})});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::add), 1);
  EXPECT_EQ(count(after, Op::mul), 1);
  EXPECT_EQ(count(after, Op::cast), 0);
  EXPECT_EQ(count(after, Op::fused_elementwise), 1);
  expect_equivalent(g, after);
}

TEST(Chains, HoldComparisonsAndChoices) {
  TestGraph t;
  Value x = t.in({2, 3}), y = t.in({2, 3});
  Value c = t.op(Op::logical_and, {t.op(Op::less, {x, y}), t.op(Op::logical_not, {t.in({2, 3}, DType::boolean)})});
  auto g = t.done({t.op(Op::where, {c, t.op(Op::exp, {x}), t.op(Op::clip, {y, t.scalar(), t.scalar()})})});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::fused_elementwise), 1);
  EXPECT_EQ(after.size(), 6u);
  expect_equivalent(g, after);
}

TEST(Chains, SixteenBitFloatsKeepTheirDtypes) {
  TestGraph t;
  Value x = t.in({2, 3}, DType::bf16);
  auto g = t.done({t.op(Op::mul, {t.op(Op::exp, {x}), t.op(Op::sin, {x})}), t.op(Op::exp, {t.cast(x, DType::f32)})});
  auto after = optimized(g);
  EXPECT_EQ(after.spec(after.outputs[0]).dtype, DType::bf16);
  EXPECT_EQ(after.spec(after.outputs[1]).dtype, DType::f32);
  expect_equivalent(g, after);
}

TEST(Chains, CheapValuesThatOnlyChainsReadAreComputedAgain) {
  TestGraph t;
  Value x = t.in({3, 3}, DType::bf16);
  Value wide = t.cast(x, DType::f32);
  Value first = t.op(Op::exp, {t.op(Op::neg, {wide})});
  Value product = t.op(Op::softmax, {t.op(Op::matmul, {first, first})}, 1);
  auto g = t.done({t.op(Op::sin, {t.op(Op::mul, {product, wide})})});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::cast), 0);
  for (const GraphNode& n : after.nodes) {
    if (n.op == Op::fused_elementwise) {
      EXPECT_EQ(n.outputs.size(), 1u) << "the cast is not written";
    }
  }
  expect_equivalent(g, after);
}

TEST(Chains, SiblingsThatReadTheSameMemoryReadItOnce) {
  TestGraph t;
  Value x = t.in({3, 3});
  Value a = t.op(Op::exp, {x}), b = t.op(Op::add, {x, t.scalar()});
  auto g = t.done({t.op(Op::softmax, {a}, 1), t.op(Op::softmax, {b}, 0), t.op(Op::sum, {t.op(Op::square, {x})}, 3)});
  auto after = optimized(g);
  const GraphNode* n = labelled(after, "ElementwiseChain");
  ASSERT_NE(n, nullptr);
  EXPECT_EQ(n->outputs.size(), 2u);
  EXPECT_NE(labelled(after, "ElementwiseChain+sum"), nullptr);
  expect_equivalent(g, after);
}

TEST(Chains, SiblingsOfWhichOneNeedsTheOtherStayApart) {
  TestGraph t;
  Value x = t.in({3, 3});
  Value a = t.op(Op::sigmoid, {x});
  Value later = t.op(Op::mul, {t.op(Op::softmax, {a}, 1), x});
  auto g = t.done({t.op(Op::softmax, {later}, 0)});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::fused_elementwise), 0);
  expect_equivalent(g, after);
}

TEST(Chains, AGatedUnitKeepsNoActivationForItsGradient) {
  TestGraph t;
  Value gate = t.op(Op::softmax, {t.in({3, 3})}, 1), up = t.op(Op::softmax, {t.in({3, 3})}, 0);
  Value silu = t.op(Op::silu, {gate});
  Value y = t.op(Op::matmul, {t.op(Op::mul, {silu, up}), t.in({3, 3})});
  Value d = t.op(Op::softmax, {y}, 1);  // stands for the gradient that comes back
  Value d_up = t.op(Op::mul, {d, silu});
  Value d_gate = t.op(Op::mul, {t.op(Op::mul, {d, up}), t.op(Op::sigmoid, {gate})});
  auto g = t.done({t.op(Op::matmul, {d_up, y}), t.op(Op::matmul, {d_gate, y})});
  auto after = optimized(g);
  ASSERT_EQ(count(after, Op::fused_elementwise), 2);
  std::vector<size_t> results;
  for (const GraphNode& n : after.nodes) {
    if (n.op == Op::fused_elementwise) results.push_back(n.outputs.size());
  }
  EXPECT_EQ(results, (std::vector<size_t>{1, 2}));
  expect_equivalent(g, after);
}

TEST(Chains, StayWithinTheirLimits) {
  TestGraph t;
  Value y = t.in({2, 3});
  for (int k = 0; k < 200; ++k) y = t.op(k % 2 == 0 ? Op::sin : Op::cos, {y});
  Value wide = y;
  for (int k = 0; k < 60; ++k) wide = t.op(Op::add, {wide, t.op(Op::abs, {t.in({2, 3})})});
  std::vector<Value> outputs{wide};
  for (int k = 0; k < 20; ++k) outputs.push_back(t.op(Op::mul, {y, t.op(Op::exp, {t.scalar()})}));
  auto g = t.done(outputs);
  auto after = optimized(g);
  for (const GraphNode& n : after.nodes) {
    if (n.op != Op::fused_elementwise) continue;
    EXPECT_LE(n.program()->code.size(), kMaxInstructions);
    EXPECT_LE(n.inputs.size(), kMaxOperands);
    EXPECT_LE(n.outputs.size(), kMaxOutputs);
  }
  EXPECT_LT(after.size(), 140u);
  expect_equivalent(g, after);
}

}  // namespace
}  // namespace lazuli
