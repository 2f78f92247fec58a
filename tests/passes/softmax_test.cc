#include "lazuli/op.h"
#include "passes/test_graph.h"

namespace lazuli {
namespace {

TEST(SoftmaxPatterns, AFactorBefore) {
  TestGraph t;
  auto g = t.done({t.op(Op::softmax, {t.op(Op::mul, {t.scalar(), t.in({2, 3})})}, 1)});
  auto after = optimized(g);
  const GraphNode* n = labelled(after, "SoftmaxScale");
  ASSERT_NE(n, nullptr);
  EXPECT_EQ(after.node(n->inputs[1]).op, Op::scalar);
  EXPECT_EQ(after.node(n->inputs[2]).op, Op::full);
  EXPECT_EQ(n->attrs.i[0], 1);
  expect_equivalent(g, after);
}

TEST(SoftmaxPatterns, AFactorAfter) {
  TestGraph t;
  auto g = t.done({t.op(Op::mul, {t.op(Op::softmax, {t.in({2, 3})}, 0), t.scalar()})});
  auto after = optimized(g);
  const GraphNode* n = labelled(after, "SoftmaxScale");
  ASSERT_NE(n, nullptr);
  EXPECT_EQ(after.node(n->inputs[1]).op, Op::full);
  EXPECT_EQ(after.node(n->inputs[2]).op, Op::scalar);
  expect_equivalent(g, after);
}

TEST(SoftmaxPatterns, FactorsBeforeAndAfter) {
  TestGraph t;
  Value y = t.op(Op::softmax, {t.op(Op::div, {t.in({2, 3}), t.scalar()})}, 1);
  y = t.op(Op::mul, {t.op(Op::mul, {y, t.scalar()}), t.scalar()});
  auto g = t.done({y});
  auto after = optimized(g);
  EXPECT_NE(labelled(after, "SoftmaxScale"), nullptr);
  EXPECT_EQ(count(after, Op::softmax), 0);
  expect_equivalent(g, after);
}

TEST(SoftmaxPatterns, RefuseAFactorThatIsNoScalar) {
  TestGraph t;
  Value x = t.in({2, 3});
  OptimizerReport report;
  auto g = t.done({t.op(Op::softmax, {t.op(Op::mul, {x, t.in({3})})}, 1), t.op(Op::mul, {t.op(Op::softmax, {x}, 1), t.in({1})})});
  auto after = optimized(g, &report);
  EXPECT_EQ(count(after, Op::scaled_softmax), 0);
  EXPECT_TRUE(refused(report, "SoftmaxScale", "not rank 0"));
  expect_equivalent(g, after);
}

TEST(SoftmaxPatterns, RefuseWhenTheScaledInputIsUsed) {
  TestGraph t;
  Value y = t.op(Op::mul, {t.in({2, 3}), t.scalar()});
  OptimizerReport report;
  auto after = optimized(t.done({t.op(Op::softmax, {y}, 1), y}), &report);
  EXPECT_EQ(count(after, Op::scaled_softmax), 0);
  EXPECT_TRUE(refused(report, "SoftmaxScale", "output of the graph"));
}

TEST(SoftmaxPatterns, FromPrimitives) {
  TestGraph t;
  Value x = t.in({2, 3});
  Value e = t.op(Op::exp, {t.op(Op::sub, {x, t.rows(Op::max, x, 2)})});
  Value y = t.op(Op::div, {e, t.rows(Op::sum, e, 2)});
  auto g = t.done({y});
  auto after = optimized(g);
  EXPECT_EQ(after.size(), 2u);
  EXPECT_NE(labelled(after, "Softmax"), nullptr);
  expect_equivalent(g, after);
}

TEST(SoftmaxPatterns, RefuseSumsOverOtherAxes) {
  TestGraph t;
  Value x = t.in({3, 3});
  Value e = t.op(Op::exp, {x});
  Value both = t.op(Op::div, {e, t.op(Op::sum, {e}, 3, 1)});
  Value lost = t.op(Op::div, {t.op(Op::exp, {t.in({3, 3})}), t.op(Op::sum, {e}, 2, 0)});
  OptimizerReport report;
  auto g = t.done({both, lost});
  auto after = optimized(g, &report);
  EXPECT_EQ(count(after, Op::softmax), 0);
  expect_equivalent(g, after);
}

TEST(SoftmaxPatterns, LogOfSoftmax) {
  TestGraph t;
  Value x = t.in({2, 3});
  Value y = t.op(Op::sub, {x, t.rows(Op::logsumexp, x, 2)});
  auto g = t.done({t.op(Op::log, {t.op(Op::softmax, {x}, 1)}), y});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::log_softmax), 1) << "both forms are the same node then";
  expect_equivalent(g, after);
}

TEST(CrossEntropyPattern, LogSoftmaxAndTake) {
  TestGraph t;
  Value x = t.in({4, 5}), i = t.in({4, 1}, DType::i32);
  auto g = t.done({t.op(Op::mean, {t.op(Op::neg, {t.op(Op::take_along, {t.op(Op::log_softmax, {x}, 1), i}, 1)})}, 3)});
  auto after = optimized(g);
  EXPECT_NE(labelled(after, "SoftmaxCrossEntropy"), nullptr);
  EXPECT_EQ(count(after, Op::neg), 0);
  expect_equivalent(g, after);
}

TEST(CrossEntropyPattern, RefuseOtherAxesAndDtypes) {
  TestGraph t;
  OptimizerReport report;
  Value other = t.op(Op::take_along, {t.op(Op::log_softmax, {t.in({4, 4})}, 0), t.in({4, 1}, DType::i32)}, 1);
  Value half = t.op(Op::take_along, {t.op(Op::log_softmax, {t.in({4, 4}, DType::bf16)}, 1), t.in({4, 1}, DType::i32)}, 1);
  Value two = t.op(Op::take_along, {t.op(Op::log_softmax, {t.in({4, 4})}, 1), t.in({4, 2}, DType::i32)}, 1);
  auto after = optimized(t.done({other, half, two}), &report);
  EXPECT_EQ(count(after, Op::cross_entropy), 0);
  EXPECT_TRUE(refused(report, "SoftmaxCrossEntropy", "last axis"));
  EXPECT_TRUE(refused(report, "SoftmaxCrossEntropy", "another dtype"));
  EXPECT_TRUE(refused(report, "SoftmaxCrossEntropy", "one target"));
}

}  // namespace
}  // namespace lazuli
