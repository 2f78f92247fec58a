#include "lazuli/op.h"
#include "passes/test_graph.h"

namespace lazuli {
namespace {

TEST(Fold, NeutralOperandsVanish) {
  TestGraph t;
  Value x = t.in({2, 3});
  Value y = t.op(Op::add, {x, t.full(0, {2, 3})});
  y = t.op(Op::mul, {t.full(1), y});
  y = t.op(Op::sub, {y, t.full(0, {3})});
  y = t.op(Op::div, {y, t.full(1, {2, 1})});
  auto g = t.done({t.op(Op::exp, {y})});
  auto after = optimized(g);
  EXPECT_EQ(after.size(), 2u);
  expect_equivalent(g, after);
}

TEST(Fold, NeutralOperandsThatWidenTheResultStay) {
  TestGraph t;
  Value x = t.in({1, 3});
  auto g = t.done({t.op(Op::add, {x, t.full(0, {2, 3})})});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::add), 1);
  expect_equivalent(g, after);
}

TEST(Fold, ZeroMinusXAndOneOverXStay) {
  TestGraph t;
  auto g = t.done({t.op(Op::sub, {t.full(0), t.in({3})}), t.op(Op::div, {t.full(1), t.in({3})})});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::sub), 1);
  EXPECT_EQ(count(after, Op::div), 1);
}

TEST(Fold, RunTimeScalarsAreNeverFolded) {
  TestGraph t;
  Value x = t.in({3});
  Value s = t.scalar();
  auto g = t.done({t.op(Op::matmul, {t.in({2, 3}), t.shaped(Op::reshape, t.op(Op::mul, {x, s}), {3, 1})}), t.op(Op::exp, {s})});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::mul), 1);
  EXPECT_EQ(count(after, Op::exp), 1);
}

TEST(Fold, KnownValuesAreComputedForAnySize) {
  TestGraph t;
  Value x = t.in({2, 3});
  Value two = t.op(Op::add, {t.full(1, {2, 3}), t.full(1, {3})});
  auto g = t.done({t.op(Op::mul, {x, t.op(Op::exp, {two})})});
  auto after = optimized(g);
  EXPECT_EQ(after.size(), 3u);
  EXPECT_EQ(count(after, Op::full), 1);
  expect_equivalent(g, after);
}

TEST(Fold, ConstantsAreComputed) {
  TestGraph t;
  Value c = t.constant(Tensor::from_vector<float>({1, 2, 3}, {3}));
  Value d = t.constant(Tensor::from_vector<float>({4, 5, 6}, {3}));
  auto g = t.done({t.op(Op::mul, {t.in({3}), t.op(Op::sub, {d, c})})});
  auto after = optimized(g);
  EXPECT_EQ(after.size(), 3u);
  EXPECT_EQ(count(after, Op::constant), 1);
  expect_equivalent(g, after);
}

TEST(Fold, OptimizeComputesConstantsWithTheDevicesKernels) {
  TestGraph t;
  Value c = t.constant(Tensor::from_vector<float>({1, 2, 3, 4}, {2, 2}));
  Value moved = t.op(Op::exp, {t.shaped(Op::reshape, c, {4})});
  auto g = t.done({t.op(Op::mul, {t.in({4}), moved})});
  const ComputationGraph after = optimize(g);
  EXPECT_EQ(after.size(), 3u);
  EXPECT_EQ(count(after, Op::constant), 1);
  expect_equivalent(g, after);
}

TEST(Fold, WhatFailsIsLeftToTheRunWhichNamesIt) {
  TestGraph t;
  Value table = t.constant(Tensor::from_vector<float>({1, 2, 3, 4}, {2, 2}));
  Value ids = t.constant(Tensor::from_vector<int32_t>({0, 7}, {2}));
  EXPECT_EQ(count(optimize(t.done({t.op(Op::gather, {table, ids})})), Op::gather), 1);
}

TEST(Fold, ExpandedConstantsStayBecauseTheirSizeMayChange) {
  TestGraph t;
  Value c = t.shaped(Op::expand, t.constant(Tensor::from_vector<float>({1, 2, 3}, {3})), {4, 3});
  auto after = optimized(t.done({t.op(Op::exp, {c})}));
  EXPECT_EQ(count(after, Op::expand), 1);
}

TEST(Fold, RangesStayBecauseTheirSizeMayChange) {
  TestGraph t;
  TensorSpec spec{DType::f32, {4}};
  GraphBuilder b;
  Attrs step;
  step.i[1] = 2;
  b.output(b.node(Op::exp, {b.node(Op::arange, {}, step, &spec)}));
  EXPECT_EQ(count(optimized(b.build()), Op::arange), 1);
}

TEST(Fold, StopGradientVanishesOnlyInTheOptimizer) {
  TestGraph t;
  Value x = t.in({2});
  auto g = t.done({t.op(Op::exp, {t.op(Op::stop_gradient, {x})})});
  EXPECT_EQ(count(optimized(g), Op::stop_gradient), 0);
  EXPECT_EQ(count(recognise(g), Op::stop_gradient), 1);
}

}  // namespace
}  // namespace lazuli
