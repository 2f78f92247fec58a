#include "lazuli/op.h"
#include "passes/test_graph.h"

namespace lazuli {
namespace {

struct Block {
  TestGraph t;
  Value x = t.in({2, 5, 3}), gate = t.in({4, 3}), up = t.in({4, 3});
  Value product(Value w) { return t.op(Op::matmul, {x, w}, 0, 1); }
};

TEST(GatedLinear, SiluOfOneProductTimesAnotherIsOneOp) {
  for (bool gate_first : {false, true}) {
    Block b;
    const Value g = b.t.op(Op::silu, {b.product(b.gate)}), u = b.product(b.up);
    auto graph = b.t.done({b.t.op(Op::mul, {gate_first ? g : u, gate_first ? u : g})});
    auto after = optimized(graph);
    const GraphNode* n = labelled(after, "SwiGLU");
    ASSERT_NE(n, nullptr);
    EXPECT_EQ(n->op, Op::gated_linear);
    EXPECT_EQ(n->attrs.i[0], 1);
    EXPECT_EQ(after.size(), 4u);
    expect_equivalent(graph, after);
  }
}

TEST(GatedLinear, OtherActivationsGateToo) {
  for (Op activation : {Op::gelu, Op::gelu_tanh, Op::relu, Op::sigmoid, Op::tanh}) {
    Block b;
    auto graph = b.t.done({b.t.op(Op::mul, {b.t.op(activation, {b.product(b.gate)}), b.product(b.up)})});
    auto after = optimized(graph);
    const GraphNode* n = labelled(after, "GatedLinear");
    ASSERT_NE(n, nullptr);
    EXPECT_EQ(n->attrs.i[2], static_cast<int64_t>(activation));
    expect_equivalent(graph, after);
  }
}

TEST(GatedLinear, IsRefusedWhereAProductHasAnotherUser) {
  // As in training, where the backward pass reads them.
  for (bool keep_gate : {false, true}) {
    Block b;
    const Value g = b.product(b.gate), u = b.product(b.up);
    auto graph = b.t.done({b.t.op(Op::mul, {b.t.op(Op::silu, {g}), u}), b.t.op(Op::exp, {keep_gate ? g : u})});
    OptimizerReport report;
    auto after = optimized(graph, &report);
    EXPECT_EQ(count(after, Op::gated_linear), 0);
    EXPECT_TRUE(refused(report, "SwiGLU", "an intermediate has another user")) << keep_gate;
    expect_equivalent(graph, after);
  }
}

TEST(GatedLinear, IsRefusedForProductsThatDoNotFit) {
  {
    Block b;
    const Value w = b.t.in({3, 4});
    auto graph = b.t.done({b.t.op(Op::mul, {b.t.op(Op::silu, {b.product(b.gate)}), b.t.op(Op::matmul, {b.x, w})})});
    OptimizerReport report;
    EXPECT_EQ(count(optimized(graph, &report), Op::gated_linear), 0);
    EXPECT_TRUE(refused(report, "SwiGLU", "one weight is given transposed"));
  }
  {
    Block b;
    const Value other = b.t.in({2, 5, 3});
    auto graph = b.t.done({b.t.op(Op::mul, {b.t.op(Op::silu, {b.product(b.gate)}), b.t.op(Op::matmul, {other, b.up}, 0, 1)})});
    EXPECT_EQ(count(optimized(graph), Op::gated_linear), 0);
  }
  {
    Block b;
    const Value bias = b.t.in({4});
    auto graph = b.t.done({b.t.op(Op::mul, {b.t.op(Op::silu, {b.t.op(Op::add, {b.product(b.gate), bias})}), b.product(b.up)})});
    auto after = optimized(graph);
    EXPECT_EQ(count(after, Op::gated_linear), 0);
    expect_equivalent(graph, after);
  }
}

}  // namespace
}  // namespace lazuli
