#include "lazuli/op.h"
#include "passes/test_graph.h"

namespace lazuli {
namespace {

struct Lora {
  TestGraph t;
  Value x, a, b, s;
  explicit Lora(const Shape& shape = {2, 6}, int64_t rank = 2) {
    x = t.in(shape);
    a = t.in({6, rank});
    b = t.in({rank, 4});
    s = t.scalar();
  }
  Value mm(Value l, Value r) { return t.op(Op::matmul, {l, r}); }
  Value mul(Value l, Value r) { return t.op(Op::mul, {l, r}); }
  Value add(Value l, Value r) { return t.op(Op::add, {l, r}); }
};

TEST(LoraPatterns, TheFactorMayStandAnywhere) {
  for (int place = 0; place < 6; ++place) {
    Lora l;
    Value h = l.mm(place == 1 ? l.mul(l.x, l.s) : l.x, place == 2 ? l.mul(l.s, l.a) : l.a);
    if (place == 3) h = l.mul(h, l.s);
    Value y = l.mm(h, place == 4 ? l.mul(l.b, l.s) : l.b);
    if (place == 0) y = l.mul(l.s, y);
    if (place == 5) y = l.mul(y, l.s);
    auto g = l.t.done({y});
    auto after = optimized(g);
    EXPECT_NE(labelled(after, "LoRA"), nullptr) << place;
    EXPECT_EQ(after.size(), 5u);
    expect_equivalent(g, after);
  }
}

TEST(LoraPatterns, ThreeDimensionsAndTransposedWeights) {
  Lora l({2, 3, 6});
  Value a = l.t.op(Op::transpose, {l.t.in({2, 6})}, 0x01);
  Value b = l.t.op(Op::transpose, {l.t.in({4, 2})}, 0x01);
  auto g = l.t.done({l.mul(l.mm(l.mm(l.x, a), b), l.s)});
  auto after = optimized(g);
  const GraphNode* n = labelled(after, "LoRA");
  ASSERT_NE(n, nullptr);
  EXPECT_EQ(n->attrs.i[0], 1);
  EXPECT_EQ(n->attrs.i[1], 1);
  expect_equivalent(g, after);
}

TEST(LoraPatterns, BesideTheProductThatItAdapts) {
  for (bool lora_first : {false, true}) {
    Lora l({2, 3, 6});
    Value w = l.t.in({6, 4});
    Value base = l.mm(l.x, w), lora = l.mul(l.mm(l.mm(l.x, l.a), l.b), l.s);
    auto g = l.t.done({lora_first ? l.add(lora, base) : l.add(base, lora)});
    auto after = optimized(g);
    EXPECT_NE(labelled(after, "LoRALinear"), nullptr);
    EXPECT_EQ(after.size(), 6u);
    expect_equivalent(g, after);
  }
}

TEST(LoraPatterns, TheBiasMayComeBeforeOrAfter) {
  for (bool bias_first : {false, true}) {
    Lora l;
    Value w = l.t.in({4, 6}), bias = l.t.in({4});
    Value base = l.mm(l.x, l.t.op(Op::transpose, {w}, 0x01)), lora = l.mul(l.mm(l.mm(l.x, l.a), l.b), l.s);
    auto g = l.t.done({bias_first ? l.add(l.add(base, bias), lora) : l.add(l.add(base, lora), bias)});
    auto after = optimized(g);
    const GraphNode* n = labelled(after, "LoRALinear");
    ASSERT_NE(n, nullptr);
    EXPECT_EQ(n->inputs.size(), 6u);
    EXPECT_EQ(n->attrs.i[2], 1);
    expect_equivalent(g, after);
  }
}

TEST(LoraPatterns, WithoutAFactorOnlyBesideAProduct) {
  Lora l;
  Value w = l.t.in({6, 4});
  Value alone = l.mm(l.mm(l.x, l.a), l.b);
  Value beside = l.add(l.mm(l.x, w), l.mm(l.mm(l.x, l.t.in({6, 2})), l.b));
  auto g = l.t.done({alone, beside});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::lora_fused), 0);
  EXPECT_EQ(count(after, Op::lora_linear), 1);
  expect_equivalent(g, after);
}

TEST(LoraPatterns, AnotherInputIsAResidualInstead) {
  Lora l;
  Value other = l.t.in({2, 6}), w = l.t.in({6, 4});
  auto g = l.t.done({l.add(l.mm(other, w), l.mul(l.mm(l.mm(l.x, l.a), l.b), l.s))});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::lora_linear), 0);
  EXPECT_NE(labelled(after, "LoRA"), nullptr);
  EXPECT_NE(labelled(after, "LinearAdd"), nullptr);
  expect_equivalent(g, after);
}

TEST(LoraPatterns, RefuseWhenTheInnerProductIsUsed) {
  Lora l;
  Value h = l.mm(l.x, l.a);
  OptimizerReport report;
  auto after = optimized(l.t.done({l.mul(l.mm(h, l.b), l.s), h}), &report);
  EXPECT_EQ(count(after, Op::lora_fused), 0);
  EXPECT_TRUE(refused(report, "LoRA", "output of the graph"));
}

TEST(LoraPatterns, RefuseAFactorThatIsNoScalar) {
  Lora l;
  Value row = l.t.in({4});
  auto g = l.t.done({l.mul(l.mm(l.mm(l.x, l.a), l.b), row)});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::lora_fused), 0);
  expect_equivalent(g, after);
}

TEST(LoraPatterns, RefuseBatchedFactors) {
  TestGraph t;
  Value x = t.in({2, 3, 6}), a = t.in({2, 6, 2}), b = t.in({2, 2, 4});
  OptimizerReport report;
  auto after = optimized(t.done({t.op(Op::mul, {t.op(Op::matmul, {t.op(Op::matmul, {x, a}), b}), t.scalar()})}), &report);
  EXPECT_EQ(count(after, Op::lora_fused), 0);
  EXPECT_TRUE(refused(report, "LoRA", "not a matrix"));
}

TEST(LoraPatterns, SixteenBitFactorsAreCast) {
  TestGraph t;
  Value x = t.in({2, 6}, DType::bf16), a = t.in({6, 2}, DType::bf16), b = t.in({2, 4}, DType::bf16), s = t.scalar(DType::bf16);
  auto g = t.done({t.op(Op::mul, {t.op(Op::matmul, {t.op(Op::matmul, {x, a}), b}), s})});
  auto after = optimized(g);
  EXPECT_NE(labelled(after, "LoRA"), nullptr);
  expect_equivalent(g, after);
}

}  // namespace
}  // namespace lazuli
