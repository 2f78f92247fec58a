#include "backend/backend.h"
#include "lazuli/op.h"
#include "passes/test_graph.h"

namespace lazuli {
namespace {

struct Rotations {
  TestGraph t;
  Value cos = t.in({7, 2}), sin = t.in({7, 2}), offset = t.full(1, {}, DType::i32);
  Value turn(Value x, int64_t back = 0) { return t.op(Op::rope, {x, cos, sin, offset}, back); }
};

TEST(Joins, RotationsOfQAndKAreOne) {
  for (int64_t back : {0, 1}) {
    Rotations r;
    const Value q = r.t.in({2, 4, 5, 4}), k = r.t.in({2, 2, 5, 4});
    auto g = r.t.done({r.turn(q, back), r.turn(k, back)});
    auto after = optimized(g);
    EXPECT_EQ(count(after, Op::rope), 0);
    const GraphNode* n = labelled(after, "RoPEPair");
    ASSERT_NE(n, nullptr);
    EXPECT_EQ(n->attrs.i[0], back);
    expect_equivalent(g, after);
  }
}

TEST(Joins, RotationsWithAnOffsetForEachRowAreOne) {
  Rotations r;
  r.offset = r.t.in({2}, DType::i32);
  const Value q = r.t.in({2, 4, 5, 4}), k = r.t.in({2, 2, 5, 4});
  auto g = r.t.done({r.turn(q), r.turn(k)});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::rope), 0);
  EXPECT_EQ(count(after, Op::rope_pair), 1);
  expect_equivalent(g, after);
}

TEST(Joins, RotationsOfOneLayerArePairedWithEachOther) {
  Rotations r;
  const Value x = r.t.in({2, 5, 4}), y = r.t.in({2, 5, 4});
  const Value first = r.t.op(Op::mul, {r.turn(x), r.turn(y)});
  auto g = r.t.done({r.t.op(Op::mul, {r.turn(first), r.turn(r.t.op(Op::exp, {first}))})});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::rope_pair), 2);
  EXPECT_EQ(count(after, Op::rope), 0);
  expect_equivalent(g, after);
}

TEST(Joins, RotationsThatDependOnEachOtherStay) {
  Rotations r;
  auto g = r.t.done({r.turn(r.t.op(Op::exp, {r.turn(r.t.in({2, 5, 4}))}))});
  OptimizerReport report;
  auto after = optimized(g, &report);
  EXPECT_EQ(count(after, Op::rope), 2);
  EXPECT_TRUE(refused(report, "RoPEPair", "one may depend on the other"));
}

TEST(Joins, RotationsThatWouldMakeACycleTogetherStay) {
  // a, b and c, d could each be a pair, but c depends on a and b on d.
  Rotations r;
  const Value other = r.t.in({7, 2});
  const auto turn = [&](Value x) { return r.t.op(Op::rope, {x, r.cos, other, r.offset}); };
  const Value a = r.turn(r.t.in({5, 4})), d = turn(r.t.in({5, 4}));
  const Value c = turn(r.t.op(Op::exp, {a})), b = r.turn(r.t.op(Op::sin, {d}));
  auto g = r.t.done({b, c});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::rope_pair), 1);
  expect_equivalent(g, after);
}

TEST(Joins, RotationsOfOtherTablesOrDirectionsStay) {
  Rotations r;
  const Value x = r.t.in({2, 5, 4}), y = r.t.in({2, 5, 4});
  auto g = r.t.done({r.turn(x), r.turn(y, 1)});
  EXPECT_EQ(count(optimized(g), Op::rope), 2);
}

TEST(Joins, ASumAndItsNormAreOne) {
  for (Op op : {Op::rms_norm, Op::layer_norm}) {
    for (bool kept : {false, true}) {
      TestGraph t;
      const Value x = t.in({2, 3, 8}), r = t.in({2, 3, 8}), w = t.in({8}), b = t.in({8}), eps = t.scalar();
      const Value sum = t.op(Op::add, {x, r});
      std::vector<Value> operands{sum, w};
      if (op == Op::layer_norm) operands.push_back(b);
      operands.push_back(eps);
      std::vector<Value> outputs{t.op(op, operands)};
      if (kept) outputs.push_back(sum);
      auto g = t.done(outputs);
      auto after = optimized(g);
      EXPECT_NE(labelled(after, op == Op::rms_norm ? "AddRMSNorm" : "AddLayerNorm"), nullptr);
      EXPECT_EQ(count(after, Op::add), 0);
      EXPECT_EQ(count(after, op), 0);
      expect_equivalent(g, after);
      expect_equivalent(g, after, &cpu_backend());
    }
  }
}

TEST(Joins, ASumAndItsNormStayWhereTheyDoNotFit) {
  struct Case {
    const char* reason;
    Value (*sum)(TestGraph&);
  };
  const Case cases[] = {
      {"broadcast",
       [](TestGraph& t) {
         return t.op(Op::add, {t.in({2, 8}), t.in({8})});
       }},
      {"elementwise chain",
       [](TestGraph& t) {
         return t.op(Op::add, {t.op(Op::exp, {t.in({2, 8})}), t.in({2, 8})});
       }},
  };
  for (const Case& c : cases) {
    TestGraph t;
    auto g = t.done({t.op(Op::rms_norm, {c.sum(t), t.in({8}), t.scalar()})});
    OptimizerReport report;
    auto after = optimized(g, &report);
    EXPECT_EQ(count(after, Op::add_rms_norm), 0);
    EXPECT_TRUE(refused(report, "AddRMSNorm", c.reason));
  }
  TestGraph t;
  const Value sum = t.op(Op::add, {t.in({2, 8}), t.in({2, 8})});
  auto g = t.done({t.op(Op::rms_norm, {sum, t.op(Op::sum, {sum}, 1), t.scalar()})});
  OptimizerReport report;
  EXPECT_EQ(count(optimized(g, &report), Op::add_rms_norm), 0);
  EXPECT_TRUE(refused(report, "AddRMSNorm", "may depend on the sum"));
}

/// AdamW of three parameters; the factor of their gradients is a value of the run or a constant.
ComputationGraph three_steps(bool clipped, bool chained) {
  TestGraph t;
  std::vector<Value> numbers, outputs;
  for (int k = 0; k < 5; ++k) numbers.push_back(t.full(0.01 * (k + 1)));
  numbers.push_back(t.full(3, {}, DType::i32));
  const Value norm = t.in({1});
  numbers.push_back(clipped ? t.op(Op::sum, {norm}, 1) : t.full(0.5));
  Value previous{};
  for (int64_t n : {4, 6, 9}) {
    const Shape shape{2, n};
    std::vector<Value> operands{t.in(shape), t.in(shape), t.in(shape), t.op(Op::square, {t.in(shape)})};
    if (chained && previous.node >= 0) operands[1] = t.shaped(Op::expand, t.op(Op::max, {previous}, 3, 0), shape);
    operands.insert(operands.end(), numbers.begin(), numbers.end());
    const Value step = t.op(Op::adamw, operands);
    for (int32_t j = 0; j < 3; ++j) outputs.push_back({step.node, j});
    previous = step;
  }
  return t.done(outputs);
}

TEST(Joins, TheStepsOfAllParametersAreOne) {
  auto g = three_steps(true, false);
  auto after = optimized(g);
  ASSERT_EQ(count(after, Op::adamw), 1);
  const GraphNode* n = labelled(after, "OptimizerStep");
  ASSERT_NE(n, nullptr);
  EXPECT_EQ(n->outputs.size(), 9u);
  expect_equivalent(g, after);
  expect_equivalent(g, after, &cpu_backend());
}

TEST(Joins, StepsStayWhereGradientsNeedNotBeKeptOrStepsDepend) {
  OptimizerReport report;
  EXPECT_EQ(count(optimized(three_steps(false, false), &report), Op::adamw), 3);
  EXPECT_TRUE(refused(report, "OptimizerStep", "no factor waits for all gradients"));
  EXPECT_EQ(count(optimized(three_steps(true, true), &report), Op::adamw), 3);
  EXPECT_TRUE(refused(report, "OptimizerStep", "a step depends on another"));
}

}  // namespace
}  // namespace lazuli
