#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lazuli/error.h"
#include "lazuli/graph.h"
#include "lazuli/op.h"

namespace lazuli {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TensorSpec f32(std::initializer_list<int64_t> dims) { return {DType::f32, Shape(dims)}; }

TEST(GraphBuilder, InfersShapesOfNodes) {
  GraphBuilder b;
  Value x = b.input(DType::f32, {2, 3});
  Value w = b.input(DType::f32, {3, 4});
  Value y = b.node(Op::matmul, {x, w});
  b.output(b.node(Op::relu, {y}));
  ComputationGraph g = b.build();
  EXPECT_EQ(g.size(), 4u);
  EXPECT_EQ(g.input_count, 2);
  EXPECT_EQ(g.spec(y), f32({2, 4}));
  EXPECT_EQ(g.topological_order(), (std::vector<int32_t>{0, 1, 2, 3}));
}

TEST(GraphBuilder, RefusesShapesThatDoNotFit) {
  GraphBuilder b;
  Value x = b.input(DType::f32, {2, 3});
  Value w = b.input(DType::f32, {4, 5});
  EXPECT_THROW(b.node(Op::matmul, {x, w}), ShapeError);
  EXPECT_EQ(b.size(), 2u);
}

TEST(GraphBuilder, RefusesInvalidDependencies) {
  GraphBuilder b;
  Value x = b.input(DType::f32, {2});
  EXPECT_THAT([&] { b.node(Op::neg, {Value{7, 0}}); }, ThrowsMessage<GraphError>(HasSubstr("node 7 does not exist")));
  EXPECT_THROW(b.node(Op::neg, {Value{x.node, 1}}), GraphError);
  EXPECT_THROW(b.edge(x, 5, 0), GraphError);
  EXPECT_THROW(b.edge(Value{3, 0}, 0, 0), GraphError);
  EXPECT_THROW(b.edge(x, x.node, 0), GraphError);
  EXPECT_THROW(b.output(Value{1, 0}), GraphError);
}

TEST(GraphBuilder, OpenNodesAreJoinedByEdgesInAnyOrder) {
  GraphBuilder b;
  Value y = b.open_node(Op::add, 2, {f32({2})});
  Value x = b.input(DType::f32, {2});
  Value z = b.node(Op::neg, {x});
  b.edge(x, y.node, 0);
  b.edge(z, y.node, 1);
  b.output(y);
  ComputationGraph g = b.build();
  EXPECT_EQ(g.topological_order(), (std::vector<int32_t>{1, 2, 0}));
  g.compact();
  EXPECT_EQ(g.topological_order(), (std::vector<int32_t>{0, 1, 2}));
  EXPECT_EQ(g.nodes[2].op, Op::add);
  EXPECT_NO_THROW(g.verify());
}

TEST(GraphBuilder, NamesACycle) {
  GraphBuilder b;
  Value x = b.input(DType::f32, {2});
  Value sum = b.open_node(Op::add, 2, {f32({2})});
  Value product = b.open_node(Op::mul, 2, {f32({2})});
  b.edge(x, sum.node, 0);
  b.edge(product, sum.node, 1);
  b.edge(x, product.node, 0);
  b.edge(sum, product.node, 1);
  b.output(product);
  EXPECT_THAT([&] { b.build(); }, ThrowsMessage<GraphError>(HasSubstr("cycle: add#1 -> mul#2 -> add#1")));
}

TEST(GraphBuilder, NamesAMissingOperand) {
  GraphBuilder b;
  Value x = b.input(DType::f32, {2});
  Value y = b.open_node(Op::add, 2, {f32({2})});
  b.edge(x, y.node, 0);
  b.output(y);
  EXPECT_THAT([&] { b.build(); }, ThrowsMessage<GraphError>(HasSubstr("add#1: operand 1 is missing")));
}

TEST(Verify, FindsSpecsThatTheOpDoesNotGive) {
  GraphBuilder b;
  Value x = b.input(DType::f32, {2});
  Value y = b.open_node(Op::neg, 1, {f32({3})});
  b.edge(x, y.node, 0);
  b.output(y);
  EXPECT_THROW(b.build(), Error);
}

TEST(Verify, FindsWrongOperandCounts) {
  GraphBuilder b;
  Value x = b.input(DType::f32, {2});
  Value y = b.open_node(Op::neg, 2, {f32({2})});
  b.edge(x, y.node, 0);
  b.edge(x, y.node, 1);
  EXPECT_THAT([&] { b.build(); }, ThrowsMessage<GraphError>(HasSubstr("neg#1: 2 operands, expected 1")));
}

TEST(Verify, FindsLeavesWithAnIndexOutOfRange) {
  GraphBuilder b;
  b.input(DType::f32, {2});
  ComputationGraph g = b.build();
  g.input_count = 0;
  EXPECT_THROW(g.verify(), GraphError);
}

TEST(GraphBuilder, RefusesLeavesWhoseIndicesHaveHoles) {
  for (const int64_t index : {int64_t{1}, int64_t{44000000}, int64_t{INT32_MAX}, INT64_MAX, int64_t{-1}}) {
    GraphBuilder b;
    const TensorSpec spec{DType::f32, {2}};
    Attrs attrs;
    attrs.i[0] = index;
    b.output(b.node(Op::input, {}, attrs, &spec));
    EXPECT_THROW(b.build(), GraphError) << index;
  }
}

TEST(GraphBuilder, RefusesTwoLeavesOfOneIndexAndImpossibleShapes) {
  GraphBuilder b;
  b.input(DType::f32, {2});
  const TensorSpec spec{DType::f32, {4}};
  b.output(b.node(Op::input, {}, {}, &spec));
  EXPECT_THAT([&] { b.build(); }, ThrowsMessage<GraphError>(HasSubstr("index 0 occurs twice")));
  EXPECT_THROW(b.open_node(Op::neg, 1, {{DType::f32, {-8, int64_t{1} << 60}}}), ShapeError);
  EXPECT_THROW(b.open_node(Op::neg, 1, {{DType::f32, {int64_t{1} << 40, int64_t{1} << 40}}}), ShapeError);
}

TEST(GraphBuilder, RefusesAttributesThatNoKernelCanFollow) {
  GraphBuilder b;
  const Value x = b.input(DType::f32, {2, 2});
  Attrs act;
  act.i[2] = 255;
  EXPECT_THROW(b.node(Op::linear, {x, x}, act), ValueError);
  act.i[2] = static_cast<int64_t>(Op::cast);
  EXPECT_THROW(b.node(Op::linear, {x, x}, act), ValueError);
  Attrs steps;
  steps.i[1] = INT64_MAX / 2;
  const TensorSpec spec{DType::i64, {4}};
  EXPECT_THROW(b.node(Op::arange, {}, steps, &spec), ValueError);
}

TEST(ComputationGraph, CountsUses) {
  GraphBuilder b;
  Value x = b.input(DType::f32, {2});
  Value y = b.node(Op::mul, {x, x});
  b.output(y);
  b.output(b.node(Op::add, {y, x}));
  auto counts = b.build().use_counts();
  EXPECT_EQ(counts[0][0], 3);
  EXPECT_EQ(counts[1][0], 2);
  EXPECT_EQ(counts[2][0], 1);
}

TEST(ComputationGraph, CompactDropsWhatNoOutputNeeds) {
  GraphBuilder b;
  Value x = b.input(DType::f32, {2});
  b.input(DType::f32, {2});
  b.node(Op::exp, {x});
  Value y = b.node(Op::neg, {x});
  b.output(y);
  ComputationGraph g = b.build();
  g.compact();
  EXPECT_EQ(g.size(), 3u) << "inputs stay";
  EXPECT_EQ(g.node(g.outputs[0]).op, Op::neg);
  EXPECT_NO_THROW(g.verify());
}

TEST(ComputationGraph, ReplaceUsesRedirectsReadersAndOutputs) {
  GraphBuilder b;
  Value x = b.input(DType::f32, {2});
  Value y = b.node(Op::neg, {x});
  Value z = b.node(Op::mul, {y, y});
  b.output(y);
  ComputationGraph g = b.build();
  g.replace_uses(y, x);
  EXPECT_EQ(g.node(z).inputs, (std::vector<Value>{x, x}));
  EXPECT_EQ(g.outputs[0], x);
}

TEST(ComputationGraph, LongChainsDoNotRecurse) {
  constexpr int kNodes = 1'000'000;
  GraphBuilder b;
  Value x = b.input(DType::f32, {2});
  // Backwards, so that sorting has to walk the whole chain.
  Value next = b.open_node(Op::neg, 1, {f32({2})});
  b.output(next);
  for (int k = 1; k < kNodes; ++k) {
    Value v = b.open_node(Op::neg, 1, {f32({2})});
    b.edge(v, next.node, 0);
    next = v;
  }
  b.edge(x, next.node, 0);
  ComputationGraph g = b.build();
  g.compact();
  EXPECT_EQ(g.size(), static_cast<size_t>(kNodes) + 1);
  EXPECT_EQ(g.outputs[0].node, kNodes);
}

TEST(Printers, WriteOneLineANode) {
  GraphBuilder b;
  Value x = b.input(DType::f32, {2, 3});
  Value w = b.input(DType::f32, {4, 3});
  Attrs attrs;
  attrs.i[1] = 1;
  Value y = b.node(Op::matmul, {x, w}, attrs);
  b.output(y);
  ComputationGraph g = b.build();
  g.node(y).label = "MyFusion";
  EXPECT_EQ(g.to_text(),
            "%0 = input() {index=0} : f32 (2, 3)\n%1 = input() {index=1} : f32 (4, 3)\n"
            "%2 = matmul(%0, %1) {transpose_b} : f32 (2, 4)  MyFusion\nreturn %2\n");
  EXPECT_THAT(g.to_dot(), HasSubstr("n0 -> n2;"));
  EXPECT_THAT(g.to_dot(), HasSubstr("MyFusion %2"));
  EXPECT_THAT(g.to_json(), HasSubstr(R"({"id":2,"op":"matmul","class":"matmul","label":"MyFusion","inputs":[[0,0],[1,0]],)"
                                     R"("outputs":[{"dtype":"f32","shape":[2,4]}],"attrs":{"transpose_b":"true"}})"));
}

}  // namespace
}  // namespace lazuli
