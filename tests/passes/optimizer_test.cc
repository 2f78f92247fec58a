#include <gmock/gmock.h>

#include <cstdlib>

#include "lazuli/error.h"
#include "lazuli/op.h"
#include "passes/test_graph.h"

namespace lazuli {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::ThrowsMessage;

class Broken final : public FusionPass {
 public:
  std::string_view name() const override { return "broken"; }
  int run(ComputationGraph& g, PassContext&) const override {
    g.nodes.back().outputs[0].dtype = DType::i32;
    return 1;
  }
};

ComputationGraph two_steps() {
  TestGraph t;
  return t.done({t.op(Op::exp, {t.op(Op::sin, {t.in({2})})})});
}

TEST(Optimizer, ReportsEveryPass) {
  OptimizerReport report;
  optimize(two_steps(), &report);
  EXPECT_EQ(report.nodes_before, 3u);
  EXPECT_EQ(report.nodes_after, 2u);
  ASSERT_EQ(report.passes.size(), GraphOptimizer::standard().names().size());
  EXPECT_EQ(report.passes[8].name, "chains");
  EXPECT_EQ(report.passes[8].rewrites, 1);
  EXPECT_GT(report.passes[8].ns, 0);
  EXPECT_THAT(report.to_text(), HasSubstr("chains"));
}

TEST(Optimizer, PassesAreSwitchedOffByName) {
  GraphOptimizer o = verified();
  o.enable("chains", false);
  ComputationGraph g = two_steps();
  OptimizerReport report;
  o.run(g, &report);
  EXPECT_EQ(g.size(), 3u);
  EXPECT_FALSE(report.passes[8].ran);
  EXPECT_THAT([&] { o.enable("no_such_pass", false); }, ThrowsMessage<ValueError>(HasSubstr("no pass `no_such_pass`")));
}

TEST(Optimizer, PassesAreSwitchedOffByTheEnvironment) {
  ASSERT_EQ(setenv("LAZULI_PASSES", "-chains,-cse", 1), 0);
  EXPECT_EQ(optimize(two_steps()).size(), 3u);
  ASSERT_EQ(setenv("LAZULI_PASSES", "chains", 1), 0);
  EXPECT_THROW(GraphOptimizer::standard(), ValueError);
  ASSERT_EQ(unsetenv("LAZULI_PASSES"), 0);
  EXPECT_EQ(optimize(two_steps()).size(), 2u);
}

ComputationGraph gated_block() {
  TestGraph t;
  const Value x = t.in({2, 3}), gate = t.op(Op::silu, {t.op(Op::matmul, {x, t.in({3, 4})})});
  return t.done({t.op(Op::mul, {gate, t.op(Op::matmul, {x, t.in({3, 4})})})});
}

TEST(Optimizer, FusionsAreSwitchedOffByName) {
  const ComputationGraph g = gated_block();
  EXPECT_EQ(count(optimized(g), Op::gated_linear), 1);
  for (const char* name : {"SwiGLU", "swiglu", "SWIGLU"}) {
    GraphOptimizer o = verified();
    o.enable(name, false);
    ComputationGraph after = g;
    o.run(after);
    EXPECT_EQ(count(after, Op::gated_linear), 0) << name;
    EXPECT_NE(labelled(after, "LinearSilu"), nullptr) << name;
    expect_equivalent(g, after);
    o.enable(name, true);
    after = g;
    o.run(after);
    EXPECT_EQ(count(after, Op::gated_linear), 1) << name;
  }
  ASSERT_EQ(setenv("LAZULI_PASSES", "-swiglu,-linear_silu", 1), 0);
  const ComputationGraph after = optimized(g);
  EXPECT_EQ(count(after, Op::matmul), 2);
  ASSERT_EQ(setenv("LAZULI_PASSES", "-swigloo", 1), 0);
  EXPECT_THAT([] { GraphOptimizer::standard(); },
              ThrowsMessage<ValueError>(AllOf(HasSubstr("no pass `swigloo`"), HasSubstr("chains"), HasSubstr("SwiGLU, "))));
  ASSERT_EQ(unsetenv("LAZULI_PASSES"), 0);
}

TEST(Optimizer, EveryFusionCanBeSwitchedOff) {
  const GraphOptimizer standard = GraphOptimizer::standard();
  EXPECT_THAT(standard.patterns(), IsSupersetOf({"LoRA", "LoRALinear", "ScaledDotProductAttention", "SoftmaxCrossEntropy", "MatmulBias",
                                                 "LinearAdd", "AttentionResidual", "LinearGelu", "LinearAddGelu", "LinearSilu", "SwiGLU",
                                                 "RoPEPair", "AddRMSNorm", "AddLayerNorm", "OptimizerStep", "SoftmaxScale"}));
  for (std::string_view name : standard.patterns()) {
    GraphOptimizer o = GraphOptimizer::standard();
    EXPECT_NO_THROW(o.enable(name, false)) << name;
  }
}

TEST(Optimizer, VerificationNamesThePass) {
  GraphOptimizer o;
  o.add(std::make_shared<Broken>());
  ComputationGraph g = two_steps();
  o.set_verify(true);
  EXPECT_THAT([&] { o.run(g); }, ThrowsMessage<GraphError>(HasSubstr("after pass broken: exp#2")));
}

TEST(Optimizer, TheGraphGivenIsNotChanged) {
  ComputationGraph g = two_steps();
  std::string before = g.to_text();
  optimize(g);
  EXPECT_EQ(g.to_text(), before);
}

TEST(Optimizer, UnusedInputsKeepTheirPlaces) {
  TestGraph t;
  t.in({2});
  Value x = t.in({3});
  auto after = optimize(t.done({t.op(Op::exp, {x})}));
  EXPECT_EQ(count(after, Op::input), 2);
  EXPECT_EQ(after.input_count, 2);
}

TEST(Optimizer, OutputsThatAreInputsStay) {
  TestGraph t;
  Value x = t.in({2});
  auto g = t.done({x, t.op(Op::neg, {t.op(Op::neg, {x})}), x});
  auto after = optimized(g);
  EXPECT_EQ(after.size(), 1u);
  EXPECT_EQ(after.outputs, (std::vector<Value>{{0, 0}, {0, 0}, {0, 0}}));
}

TEST(Optimizer, GraphsOfAMillionNodesAreOptimizedInNearLinearTime) {
  auto time_of = [](int nodes) {
    TestGraph t;
    Value x = t.in({2, 3}), y = x;
    for (int k = 0; k < nodes; ++k) y = k % 3 == 2 ? t.op(Op::add, {y, x}) : t.op(k % 3 == 0 ? Op::sin : Op::neg, {y});
    ComputationGraph g = t.done({y});
    OptimizerReport report;
    GraphOptimizer o = GraphOptimizer::standard();
    o.set_verify(false);
    o.run(g, &report);
    EXPECT_LT(g.size(), static_cast<size_t>(nodes) / 40);
    return static_cast<double>(report.ns) / nodes;
  };
  double small = time_of(10'000);
  double large = time_of(1'000'000);
  EXPECT_LT(large, 20 * small + 1000) << small << " ns a node becomes " << large;
}

// A block as a user writes it: every composite out of primitives.
TEST(Optimizer, ATransformerBlockInPrimitivesBecomesItsComposites) {
  TestGraph t;
  const int64_t tokens = 4, heads = 2, size = 3, hidden = heads * size;
  Value x = t.in({tokens, hidden}), eps = t.scalar(), scale = t.scalar();
  auto norm = [&](Value v) {
    Value d = t.op(Op::sub, {v, t.rows(Op::mean, v, 2)});
    Value m = t.op(Op::add, {t.rows(Op::mean, t.op(Op::square, {d}), 2), eps});
    return t.op(Op::add, {t.op(Op::mul, {t.op(Op::div, {d, t.op(Op::sqrt, {m})}), t.in({hidden})}), t.in({hidden})});
  };
  auto linear = [&](Value v, int64_t in, int64_t out) {
    return t.op(Op::add, {t.op(Op::matmul, {v, t.op(Op::transpose, {t.in({out, in})}, 0x01)}), t.in({out})});
  };
  auto split = [&](Value v) { return t.op(Op::transpose, {t.shaped(Op::reshape, v, {1, tokens, heads, size})}, 0x3120); };
  Value h = norm(x);
  Value q = split(linear(h, hidden, hidden)), k = split(linear(h, hidden, hidden)), v = split(linear(h, hidden, hidden));
  Value s = t.op(Op::mul, {t.op(Op::matmul, {q, t.op(Op::transpose, {k}, 0x2310)}), scale});
  Value a = t.op(Op::matmul, {t.op(Op::softmax, {s}, 3), v});
  a = t.shaped(Op::reshape, t.op(Op::transpose, {a}, 0x3120), {tokens, hidden});
  x = t.op(Op::add, {x, linear(a, hidden, hidden)});
  Value f = t.op(Op::gelu, {linear(norm(x), hidden, 4 * hidden)});
  auto g = t.done({t.op(Op::add, {x, linear(f, 4 * hidden, hidden)})});
  auto after = optimized(g);
  EXPECT_EQ(count(after, Op::layer_norm), 2);
  EXPECT_EQ(count(after, Op::sdpa), 1);
  EXPECT_EQ(count(after, Op::linear), 6);
  EXPECT_EQ(count(after, Op::matmul), 0);
  EXPECT_EQ(count(after, Op::add), 0);
  EXPECT_NE(labelled(after, "LinearGelu"), nullptr);
  EXPECT_NE(labelled(after, "LinearAdd"), nullptr);
  EXPECT_NE(labelled(after, "AttentionResidual"), nullptr);
  expect_equivalent(g, after);
}

}  // namespace
}  // namespace lazuli
