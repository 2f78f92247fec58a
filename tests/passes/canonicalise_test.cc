#include "lazuli/op.h"
#include "passes/test_graph.h"

namespace lazuli {
namespace {

constexpr int64_t kSwap2 = 0x01;   // axes 1, 0
constexpr int64_t kSwap3 = 0x120;  // axes 0, 2, 1

TEST(Canonicalise, ReshapesOfReshapesBecomeOne) {
  TestGraph t;
  Value x = t.in({2, 6});
  Value y = t.shaped(Op::reshape, t.shaped(Op::reshape, x, {3, 4}), {4, 3});
  auto g = t.done({t.op(Op::exp, {y})});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::reshape), 1);
  expect_equivalent(g, after);
}

TEST(Canonicalise, AReshapeBackVanishes) {
  TestGraph t;
  Value x = t.in({2, 6});
  Value y = t.shaped(Op::reshape, t.shaped(Op::reshape, x, {3, 4}), {2, 6});
  auto after = optimized(t.done({t.op(Op::exp, {y})}));
  EXPECT_EQ(after.size(), 2u);
}

TEST(Canonicalise, TransposesCompose) {
  TestGraph t;
  Value x = t.in({2, 3, 4});
  Value y = t.op(Op::transpose, {t.op(Op::transpose, {x}, 0x021)}, 0x021);
  Value back = t.op(Op::transpose, {t.op(Op::transpose, {x}, kSwap3)}, kSwap3);
  auto g = t.done({t.op(Op::exp, {y}), t.op(Op::exp, {back})});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::transpose), 1);
  expect_equivalent(g, after);
}

TEST(Canonicalise, TransposesMoveIntoProducts) {
  TestGraph t;
  Value a = t.in({3, 2});
  Value b = t.in({4, 3});
  Value y = t.op(Op::matmul, {t.op(Op::transpose, {a}, kSwap2), t.op(Op::transpose, {b}, kSwap2)});
  auto g = t.done({y});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::transpose), 0);
  EXPECT_EQ(after.node(after.outputs[0]).attrs.i[0], 1);
  EXPECT_EQ(after.node(after.outputs[0]).attrs.i[1], 1);
  expect_equivalent(g, after);
}

TEST(Canonicalise, BatchedTransposesMoveIntoProducts) {
  TestGraph t;
  Value a = t.in({2, 5, 3});
  Value b = t.in({2, 4, 3});
  auto g = t.done({t.op(Op::matmul, {a, t.op(Op::transpose, {b}, kSwap3)})});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::transpose), 0);
  expect_equivalent(g, after);
}

TEST(Canonicalise, OtherPermutationsStay) {
  TestGraph t;
  Value a = t.in({2, 5, 3});
  Value b = t.in({3, 2, 4});
  auto g = t.done({t.op(Op::matmul, {a, t.op(Op::transpose, {b}, 0x201)})});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::transpose), 1);
  expect_equivalent(g, after);
}

TEST(Canonicalise, CastsThatLoseNothingVanish) {
  TestGraph t;
  Value x = t.in({4}, DType::bf16);
  Value y = t.cast(t.cast(x, DType::f32), DType::bf16);
  auto after = optimized(t.done({t.op(Op::exp, {y})}));
  EXPECT_EQ(after.size(), 2u);
}

TEST(Canonicalise, CastsThatRoundStay) {
  TestGraph t;
  Value x = t.in({4});
  Value i = t.in({4}, DType::i32);
  Value rounded = t.cast(t.cast(x, DType::bf16), DType::f32);
  Value clamped = t.cast(t.cast(i, DType::f64), DType::i8);  // 300 becomes 127 here and 44 without the f64
  ComputationGraph g = t.done({t.op(Op::matmul, {t.shaped(Op::reshape, rounded, {2, 2}), t.in({2, 2})}), clamped});
  EXPECT_EQ(count(optimized(g), Op::cast), 4);
}

TEST(Canonicalise, DoubleNegationVanishes) {
  TestGraph t;
  Value x = t.in({4});
  auto after = optimized(t.done({t.op(Op::exp, {t.op(Op::neg, {t.op(Op::neg, {x})})})}));
  EXPECT_EQ(after.size(), 2u);
}

TEST(Canonicalise, ExpandedOperandsBroadcastByThemselves) {
  TestGraph t;
  Value x = t.in({2, 3});
  Value s = t.shaped(Op::expand, t.scalar(), {2, 3});
  auto g = t.done({t.op(Op::softmax, {t.op(Op::mul, {x, s})}, 1)});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::expand), 0);
  EXPECT_NE(labelled(after, "SoftmaxScale"), nullptr);
  expect_equivalent(g, after);
}

TEST(Canonicalise, ExpandStaysWhereItMakesTheShape) {
  TestGraph t;
  Value x = t.shaped(Op::expand, t.in({1, 3}), {2, 3});
  auto g = t.done({t.op(Op::mul, {x, t.scalar()})});
  EXPECT_EQ(count(optimized(g), Op::expand), 1);
}

}  // namespace
}  // namespace lazuli
