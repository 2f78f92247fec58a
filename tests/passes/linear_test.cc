#include "lazuli/op.h"
#include "passes/test_graph.h"

namespace lazuli {
namespace {

TEST(LinearPatterns, MatmulBias) {
  TestGraph t;
  Value x = t.in({2, 5, 3}), w = t.in({3, 4}), bias = t.in({4});
  auto g = t.done({t.op(Op::add, {bias, t.op(Op::matmul, {x, w})})});
  auto after = optimized(g);
  const GraphNode* n = labelled(after, "MatmulBias");
  ASSERT_NE(n, nullptr);
  EXPECT_EQ(n->attrs.i[1], 1);
  EXPECT_EQ(after.size(), 4u);
  expect_equivalent(g, after);
}

TEST(LinearPatterns, MatmulBiasWithATransposedWeight) {
  TestGraph t;
  Value x = t.in({2, 3}), w = t.in({4, 3}), bias = t.in({4});
  auto g = t.done({t.op(Op::add, {t.op(Op::matmul, {x, t.op(Op::transpose, {w}, 0x01)}), bias})});
  auto after = optimized(g);
  const GraphNode* n = labelled(after, "MatmulBias");
  ASSERT_NE(n, nullptr);
  EXPECT_EQ(n->attrs.i[0], 1);
  expect_equivalent(g, after);
}

TEST(LinearPatterns, LinearAdd) {
  TestGraph t;
  Value x = t.in({2, 3}), w = t.in({3, 4}), r = t.in({2, 4});
  auto g = t.done({t.op(Op::add, {r, t.op(Op::matmul, {x, w})})});
  auto after = optimized(g);
  const GraphNode* n = labelled(after, "LinearAdd");
  ASSERT_NE(n, nullptr);
  EXPECT_EQ(n->attrs.i[1], 2);
  expect_equivalent(g, after);
}

TEST(LinearPatterns, BiasAndResidualInEitherOrder) {
  for (bool residual_first : {false, true}) {
    TestGraph t;
    Value x = t.in({2, 3}), w = t.in({3, 4}), bias = t.in({4}), r = t.in({2, 4});
    Value y = t.op(Op::matmul, {x, w});
    y = t.op(Op::add, {y, residual_first ? r : bias});
    y = t.op(Op::add, {y, residual_first ? bias : r});
    auto g = t.done({y});
    auto after = optimized(g);
    const GraphNode* n = labelled(after, "LinearAdd");
    ASSERT_NE(n, nullptr);
    EXPECT_EQ(n->attrs.i[1], 3);
    EXPECT_EQ(after.size(), 5u);
    expect_equivalent(g, after);
  }
}

struct Activation {
  Op op;
  const char* alone;
  const char* with_residual;
};

class LinearActivation : public ::testing::TestWithParam<Activation> {};

TEST_P(LinearActivation, EndsTheProduct) {
  TestGraph t;
  Value x = t.in({2, 3}), w = t.in({3, 4}), bias = t.in({4}), r = t.in({2, 4});
  Value plain = t.op(GetParam().op, {t.op(Op::matmul, {x, w})});
  Value biased = t.op(GetParam().op, {t.op(Op::add, {t.op(Op::matmul, {x, w}), bias})});
  Value all = t.op(GetParam().op, {t.op(Op::add, {t.op(Op::add, {t.op(Op::matmul, {x, w}), bias}), r})});
  for (Value out : {plain, biased}) {
    TestGraph copy = t;
    auto g = copy.done({out});
    auto after = optimized(g);
    EXPECT_NE(labelled(after, GetParam().alone), nullptr);
    EXPECT_EQ(count(after, GetParam().op), 0);
    expect_equivalent(g, after);
  }
  auto g = t.done({all});
  auto after = optimized(g);
  EXPECT_NE(labelled(after, GetParam().with_residual), nullptr);
  EXPECT_EQ(after.size(), 5u);
  expect_equivalent(g, after);
}

INSTANTIATE_TEST_SUITE_P(
    All, LinearActivation,
    ::testing::Values(Activation{Op::gelu, "LinearGelu", "LinearAddGelu"}, Activation{Op::gelu_tanh, "LinearGeluTanh", "LinearAddGeluTanh"},
                      Activation{Op::silu, "LinearSilu", "LinearAddSilu"}, Activation{Op::relu, "LinearRelu", "LinearAddRelu"},
                      Activation{Op::sigmoid, "LinearSigmoid", "LinearAddSigmoid"}, Activation{Op::tanh, "LinearTanh", "LinearAddTanh"}),
    [](const auto& test) { return std::string(name_of(test.param.op)); });

TEST(LinearPatterns, RefuseWhenTheProductIsAnOutput) {
  TestGraph t;
  Value x = t.in({2, 3}), w = t.in({3, 4}), bias = t.in({4});
  Value y = t.op(Op::matmul, {x, w});
  OptimizerReport report;
  auto after = optimized(t.done({t.op(Op::add, {y, bias}), y}), &report);
  EXPECT_EQ(count(after, Op::linear), 0);
  EXPECT_TRUE(refused(report, "MatmulBias", "output of the graph"));
}

TEST(LinearPatterns, RefuseWhenTheProductHasAnotherUser) {
  TestGraph t;
  Value x = t.in({2, 3}), w = t.in({3, 4});
  Value y = t.op(Op::matmul, {x, w});
  OptimizerReport report;
  auto after = optimized(t.done({t.op(Op::gelu, {y}), t.op(Op::softmax, {y}, 1)}), &report);
  EXPECT_EQ(count(after, Op::linear), 0);
  EXPECT_TRUE(refused(report, "LinearGelu", "another user"));
}

TEST(LinearPatterns, RefuseABiasThatIsNoRow) {
  TestGraph t;
  Value x = t.in({2, 3}), w = t.in({3, 4});
  OptimizerReport report;
  auto g =
      t.done({t.op(Op::add, {t.op(Op::matmul, {x, w}), t.in({1})}), t.op(Op::add, {t.op(Op::matmul, {t.in({2, 3}), w}), t.in({2, 1})})});
  auto after = optimized(g, &report);
  EXPECT_EQ(count(after, Op::linear), 0);
  EXPECT_TRUE(refused(report, "MatmulBias", "not one row"));
  EXPECT_TRUE(refused(report, "LinearAdd", "shape of the product"));
}

TEST(LinearPatterns, RefuseAResidualThatWidensTheResult) {
  TestGraph t;
  Value x = t.in({1, 3}), w = t.in({3, 4}), r = t.in({2, 4});
  auto g = t.done({t.op(Op::add, {t.op(Op::matmul, {x, w}), r})});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::linear), 0);
  expect_equivalent(g, after);
}

TEST(LinearPatterns, RefuseBatchedWeightsAndIntegers) {
  TestGraph t;
  OptimizerReport report;
  Value batched = t.op(Op::add, {t.op(Op::matmul, {t.in({2, 2, 3}), t.in({2, 3, 4})}), t.in({4})});
  Value whole = t.op(Op::add, {t.op(Op::matmul, {t.in({2, 3}, DType::i32), t.in({3, 4}, DType::i32)}), t.in({4}, DType::i32)});
  auto after = optimized(t.done({batched, whole}), &report);
  EXPECT_EQ(count(after, Op::linear), 0);
  EXPECT_TRUE(refused(report, "MatmulBias", "batched"));
  EXPECT_TRUE(refused(report, "MatmulBias", "not floats"));
}

TEST(LinearPatterns, DoNotCrossACast) {
  TestGraph t;
  Value y = t.cast(t.op(Op::matmul, {t.in({2, 3}, DType::bf16), t.in({3, 4}, DType::bf16)}), DType::f32);
  auto after = optimized(t.done({t.op(Op::add, {y, t.in({4})})}));
  EXPECT_EQ(count(after, Op::linear), 0);
}

TEST(LinearPatterns, TwoActivationsKeepTheirOrder) {
  TestGraph t;
  Value y = t.op(Op::relu, {t.op(Op::matmul, {t.in({2, 3}), t.in({3, 4})})});
  OptimizerReport report;
  auto g = t.done({
      t.op(Op::tanh, {y}),
  });
  auto after = optimized(g, &report);
  EXPECT_EQ(count(after, Op::tanh), 1);
  EXPECT_TRUE(refused(report, "LinearTanh", "activation already"));
  expect_equivalent(g, after);
}

}  // namespace
}  // namespace lazuli
