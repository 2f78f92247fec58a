#include "lazuli/op.h"
#include "passes/test_graph.h"

namespace lazuli {
namespace {

struct Attention {
  TestGraph t;
  Value q, k, v;
  explicit Attention(std::vector<int64_t> batch) {
    auto shape = [&](int64_t rows, int64_t size) {
      std::vector<int64_t> dims = batch;
      dims.push_back(rows);
      dims.push_back(size);
      return Shape(std::span<const int64_t>(dims));
    };
    q = t.in(shape(3, 4));
    k = t.in(shape(5, 4));
    v = t.in(shape(5, 6));
    last = static_cast<int64_t>(batch.size()) + 1;
  }
  Value scores() { return t.op(Op::matmul, {q, k}, 0, 1); }
  Value rest(Value s) { return t.op(Op::matmul, {t.op(Op::softmax, {s}, last), v}); }
  int64_t last;
};

TEST(AttentionPattern, InTwoThreeAndFourDimensions) {
  for (const auto& batch : std::vector<std::vector<int64_t>>{{}, {2}, {2, 3}}) {
    Attention a(batch);
    auto g = a.t.done({a.rest(a.t.op(Op::mul, {a.scores(), a.t.scalar()}))});
    for (const auto& after : {optimized(g), recognise(g)}) {
      EXPECT_NE(labelled(after, "ScaledDotProductAttention"), nullptr);
      EXPECT_EQ(count(after, Op::softmax), 0);
      EXPECT_EQ(count(after, Op::matmul), 0);
      expect_equivalent(g, after);
    }
  }
}

TEST(AttentionPattern, ScaledByDivisionOrBeforeTheProductOrNot) {
  for (int way = 0; way < 3; ++way) {
    Attention a({2});
    if (way == 1) a.q = a.t.op(Op::mul, {a.q, a.t.scalar()});
    Value s = a.scores();
    if (way == 0) s = a.t.op(Op::div, {s, a.t.scalar()});
    auto g = a.t.done({a.rest(s)});
    auto after = optimized(g);
    EXPECT_NE(labelled(after, "ScaledDotProductAttention"), nullptr) << way;
    expect_equivalent(g, after);
  }
}

TEST(AttentionPattern, KeysTransposedByAView) {
  Attention a({2});
  Value s = a.t.op(Op::matmul, {a.q, a.t.op(Op::transpose, {a.k}, 0x120)});
  auto g = a.t.done({a.rest(a.t.op(Op::mul, {s, a.t.scalar()}))});
  auto after = recognise(g);
  EXPECT_NE(labelled(after, "ScaledDotProductAttention"), nullptr);
  expect_equivalent(g, after);
}

TEST(AttentionPattern, WithMasks) {
  for (int way = 0; way < 3; ++way) {
    Attention a({2, 3});
    Value s = a.t.op(Op::mul, {a.scores(), a.t.scalar()});
    if (way == 0) s = a.t.op(Op::add, {s, a.t.in({3, 5})});
    if (way == 1) s = a.t.op(Op::add, {a.t.in({2, 1, 3, 5}), s});
    if (way == 2) {
      // One key takes part in every row.
      Value mask = a.t.op(Op::logical_or, {a.t.in({3, 5}, DType::boolean), a.t.op(Op::equal, {a.t.full(1, {3, 5}), a.t.full(1)})});
      s = a.t.op(Op::where, {mask, s, a.t.full(-INFINITY, {2, 3, 3, 5})});
    }
    auto g = a.t.done({a.rest(s)});
    auto after = optimized(g);
    EXPECT_NE(labelled(after, "ScaledDotProductAttention"), nullptr) << way;
    expect_equivalent(g, after);
  }
}

TEST(AttentionPattern, RefusesWhatIsNoAttention) {
  OptimizerReport report;
  Attention axis({2});
  axis.last = 1;
  EXPECT_EQ(count(optimized(axis.t.done({axis.rest(axis.scores())}), &report), Op::sdpa), 0);
  EXPECT_TRUE(refused(report, "ScaledDotProductAttention", "not over the keys"));

  Attention used({2});
  Value s = used.scores();
  EXPECT_EQ(count(optimized(used.t.done({used.rest(s), s}), &report), Op::sdpa), 0);
  EXPECT_TRUE(refused(report, "ScaledDotProductAttention", "output of the graph"));

  TestGraph t;
  Value p = t.op(Op::softmax, {t.op(Op::matmul, {t.in({2, 3, 4}), t.in({5, 4})}, 0, 1)}, 2);
  EXPECT_EQ(count(optimized(t.done({t.op(Op::matmul, {p, t.in({2, 5, 6})})}), &report), Op::sdpa), 0);
  EXPECT_TRUE(refused(report, "ScaledDotProductAttention", "differ in rank"));
}

Value mean_square(TestGraph& t, Value x, bool product) {
  return t.rows(Op::mean, product ? t.op(Op::mul, {x, x}) : t.op(Op::square, {x}), 2);
}

TEST(NormPatterns, RmsNorm) {
  for (int way = 0; way < 3; ++way) {
    TestGraph t;
    Value x = t.in({2, 8}), w = t.in({8}), eps = t.scalar();
    Value m = t.op(Op::add, {mean_square(t, x, way == 1), eps});
    Value y = way == 2 ? t.op(Op::div, {x, t.op(Op::sqrt, {m})}) : t.op(Op::mul, {x, t.op(Op::rsqrt, {m})});
    auto g = t.done({t.op(Op::mul, {w, y})});
    auto after = optimized(g);
    EXPECT_EQ(after.size(), 4u);
    EXPECT_NE(labelled(after, "RMSNorm"), nullptr);
    expect_equivalent(g, after);
  }
}

TEST(NormPatterns, RmsNormRefusesOtherAxesAndWeights) {
  TestGraph t;
  Value x = t.in({8, 8}), other = t.in({8, 8}), w = t.in({8}), eps = t.scalar();
  Value columns = t.op(Op::mean, {t.op(Op::square, {x})}, 1, 1);
  Value y = t.op(Op::mul, {t.op(Op::mul, {x, t.op(Op::rsqrt, {t.op(Op::add, {columns, eps})})}), w});
  Value z = t.op(Op::mul, {t.op(Op::mul, {other, t.op(Op::rsqrt, {t.op(Op::add, {mean_square(t, other, false), eps})})}), t.in({8, 1})});
  OptimizerReport report;
  auto g = t.done({y, z});
  auto after = optimized(g, &report);
  EXPECT_EQ(count(after, Op::rms_norm), 0);
  EXPECT_TRUE(refused(report, "RMSNorm", "not over the last axis"));
  EXPECT_TRUE(refused(report, "RMSNorm", "not one row"));
  expect_equivalent(g, after);
}

TEST(NormPatterns, LayerNorm) {
  for (int way = 0; way < 4; ++way) {
    TestGraph t;
    Value x = t.in({2, 8}), w = t.in({8}), b = t.in({8}), eps = t.scalar();
    Value d = t.op(Op::sub, {x, t.rows(Op::mean, x, 2)});
    Value var = way == 3 ? t.rows(Op::var, x, 2) : mean_square(t, d, way == 1);
    Value m = t.op(Op::add, {var, eps});
    Value y = way == 2 ? t.op(Op::div, {d, t.op(Op::sqrt, {m})}) : t.op(Op::mul, {d, t.op(Op::rsqrt, {m})});
    auto g = t.done({t.op(Op::add, {t.op(Op::mul, {y, w}), b})});
    auto after = optimized(g);
    EXPECT_EQ(after.size(), 5u) << way;
    EXPECT_NE(labelled(after, "LayerNorm"), nullptr) << way;
    expect_equivalent(g, after);
  }
}

TEST(NormPatterns, LayerNormRefusesACorrectedVariance) {
  TestGraph t;
  Value x = t.in({2, 8}), eps = t.scalar();
  Value d = t.op(Op::sub, {x, t.rows(Op::mean, x, 2)});
  Value y = t.op(Op::mul, {d, t.op(Op::rsqrt, {t.op(Op::add, {t.op(Op::var, {x}, 2, 1, 1), eps})})});
  OptimizerReport report;
  auto after = optimized(t.done({t.op(Op::add, {t.op(Op::mul, {y, t.in({8})}), t.in({8})})}), &report);
  EXPECT_EQ(count(after, Op::layer_norm), 0);
  EXPECT_TRUE(refused(report, "LayerNorm", "degree of freedom"));
}

TEST(ActivationPatterns, Silu) {
  TestGraph t;
  Value x = t.in({2, 3});
  Value e = t.op(Op::add, {t.op(Op::exp, {t.op(Op::neg, {x})}), t.full(1)});
  auto g = t.done({t.op(Op::mul, {t.op(Op::sigmoid, {x}), x}), t.op(Op::div, {x, e})});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::silu), 1) << "both forms are the same node then";
  EXPECT_EQ(after.size(), 2u);
  expect_equivalent(g, after);
}

TEST(ActivationPatterns, GeluExactAndWithTanh) {
  TestGraph t;
  Value x = t.in({2, 3});
  Value erf = t.op(Op::erf, {t.op(Op::mul, {x, t.full(0.7071067811865476)})});
  Value exact = t.op(Op::mul, {t.op(Op::mul, {x, t.full(0.5)}), t.op(Op::add, {erf, t.full(1)})});
  x = t.in({2, 3});
  Value cube = t.op(Op::mul, {t.op(Op::mul, {x, x}), x});
  Value inner = t.op(Op::mul, {t.full(0.7978845608028654), t.op(Op::add, {x, t.op(Op::mul, {t.full(0.044715), cube})})});
  Value approximate = t.op(Op::mul, {t.op(Op::mul, {t.full(0.5), x}), t.op(Op::add, {t.full(1), t.op(Op::tanh, {inner})})});
  auto g = t.done({exact, approximate});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::gelu), 1);
  EXPECT_EQ(count(after, Op::gelu_tanh), 1);
  expect_equivalent(g, after);
}

TEST(ActivationPatterns, OtherFactorsAreNoGelu) {
  TestGraph t;
  Value x = t.in({2, 3});
  Value erf = t.op(Op::erf, {t.op(Op::mul, {x, t.full(0.7)})});
  auto g = t.done({t.op(Op::mul, {t.op(Op::mul, {x, t.full(0.5)}), t.op(Op::add, {erf, t.full(1)})})});
  EXPECT_EQ(count(optimized(g), Op::gelu), 0);
}

}  // namespace
}  // namespace lazuli
