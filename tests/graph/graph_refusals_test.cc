// Checks what graphs made by hand are refused for, with the words that name the node.
#include <gtest/gtest.h>

#include <functional>

#include "lazuli/error.h"
#include "lazuli/graph.h"
#include "lazuli/op.h"

namespace lazuli {
namespace {

TensorSpec f32(const Shape& s) { return {DType::f32, s}; }

void refuses(const std::function<void(GraphBuilder&, Value)>& call, std::string_view text, int line = __builtin_LINE()) {
  try {
    GraphBuilder b;
    call(b, b.input(DType::f32, {2}));
    b.build();
    ADD_FAILURE_AT(__FILE__, line) << "nothing is refused";
  } catch (const Error& e) {
    if (std::string_view(e.what()).find(text) == std::string_view::npos) ADD_FAILURE_AT(__FILE__, line) << e.what();
  }
}

TEST(GraphRefusals, ValuesThatDoNotExist) {
  using B = GraphBuilder&;
  refuses([](B b, Value) { b.output({-1, 0}); }, "node -1 does not exist, the graph has 1 nodes");
  refuses([](B b, Value) { b.output({1, 0}); }, "node 1 does not exist, the graph has 1 nodes");
  refuses([](B b, Value x) { b.output({x.node, -1}); }, "input#0 has 1 results, not 0");
  refuses([](B b, Value x) { b.output({x.node, 1}); }, "input#0 has 1 results, not 2");
  refuses([](B b, Value x) { b.edge(x, -1, 0); }, "node -1 does not exist, the graph has 1 nodes");
  refuses([](B b, Value x) { b.edge(x, 1, 0); }, "node 1 does not exist, the graph has 1 nodes");
  refuses([](B b, Value x) { b.edge(x, b.open_node(Op::neg, 1, {f32({2})}).node, 1); }, "neg#1 has 1 operands, not 2");
  refuses([](B b, Value x) { b.edge(x, b.open_node(Op::neg, 1, {f32({2})}).node, -1); }, "neg#1 has 1 operands, not 0");
  refuses([](B b, Value) { b.open_node(Op::neg, -1, {f32({2})}); }, "open_node: -1 operands, expected 0 or more");
  refuses([](B b, Value) { b.constant({}); }, "constant: the tensor is empty-handed");
}

TEST(GraphRefusals, NodesThatAreNotWhatTheirOpsSay) {
  using B = GraphBuilder&;
  const auto open = [](Op op, int operands, std::vector<TensorSpec> results) {
    return [=](B b, Value x) {
      const Value n = b.open_node(op, operands, results);
      for (int k = 0; k < operands; ++k) b.edge(x, n.node, k);
    };
  };
  refuses(open(Op::neg, 1, {}), "neg#1: no results are declared");
  refuses(open(Op::neg, 1, {f32({2}), f32({2})}), "neg#1: 2 results declared, the op has 1");
  refuses(open(Op::neg, 1, {f32({3})}), "neg#1: result 0 is declared f32 (3), the op gives f32 (2)");
  refuses(open(Op::neg, 1, {{DType::f16, {2}}}), "neg#1: result 0 is declared f16 (2), the op gives f32 (2)");
  refuses(open(Op::sort, 1, {f32({2}), {DType::i64, {2}}}), "sort#1: result 1 is declared i64 (2), the op gives i32 (2)");
  refuses(open(Op::neg, 0, {f32({2})}), "neg#1: 0 operands, expected 1");
  refuses(open(Op::concat, 0, {f32({2})}), "concat#1: 0 operands, expected at least 1");
  refuses(open(Op::lora_linear, 4, {f32({2})}), "lora_linear#1: 4 operands, expected 5 to 6");
  refuses(open(Op::lora_linear, 7, {f32({2})}), "lora_linear#1: 7 operands, expected 5 to 6");
  refuses(open(Op::constant, 0, {f32({2})}), "constant#1: the data does not have the declared dtype and shape");
}

TEST(GraphRefusals, ConstantsWithOtherData) {
  GraphBuilder b;
  b.output(b.constant(Tensor::from_vector<float>({1, 2}, {2})));
  const ComputationGraph g = b.build();
  for (const TensorSpec& spec : {f32({1}), f32({2, 1}), TensorSpec{DType::i32, {2}}}) {
    ComputationGraph other = g;
    other.nodes[0].outputs = {spec};
    EXPECT_THROW(other.verify(), GraphError);
  }
  ComputationGraph twice = g;
  twice.nodes[0].outputs.push_back(f32({2}));
  EXPECT_THROW(twice.verify(), GraphError);
}

TEST(GraphRefusals, EdgesOfAGraphThatWasChangedByHand) {
  GraphBuilder b;
  const Value x = b.input(DType::f32, {2});
  b.output(b.node(Op::neg, {x}));
  const ComputationGraph g = b.build();
  const auto refused = [&](Value operand, Value output, const std::string& text) {
    ComputationGraph other = g;
    other.nodes[1].inputs = {operand};
    other.outputs = {output};
    try {
      other.topological_order();
      ADD_FAILURE() << "accepted";
    } catch (const GraphError& e) {
      EXPECT_EQ(e.what(), text);
    }
    EXPECT_THROW(other.compact(), GraphError);
    EXPECT_THROW(other.use_counts(), GraphError);
  };
  refused({2, 0}, {1, 0}, "neg#1: operand 0 depends on node 2, but the graph has 2 nodes");
  refused({-2, 0}, {1, 0}, "neg#1: operand 0 depends on node -2, but the graph has 2 nodes");
  refused({-1, 0}, {1, 0}, "neg#1: operand 0 is missing");
  refused({0, 1}, {1, 0}, "neg#1: operand 0 reads result 1 of input#0, which has 1");
  refused({0, -1}, {1, 0}, "neg#1: operand 0 reads result -1 of input#0, which has 1");
  refused({0, 0}, {1, 2}, "graph output 0 reads result 2 of neg#1, which has 1");
  refused({0, 0}, {-1, 0}, "graph output 0 is missing");
  ComputationGraph more = g;
  EXPECT_THROW(more.add(Op::neg, {{2, 0}}), GraphError);
}

/// `length` nodes, each of which reads the one before, the first the last.
std::string cycle_of(int length) {
  GraphBuilder b;
  for (int k = 0; k < length; ++k) b.open_node(Op::neg, 1, {f32({2})});
  for (int k = 0; k < length; ++k) b.edge({k, 0}, (k + 1) % length, 0);
  try {
    b.build();
  } catch (const GraphError& e) {
    return e.what();
  }
  return {};
}

TEST(GraphRefusals, LongCyclesAreCutShort) {
  EXPECT_EQ(cycle_of(1), "cycle: neg#0 -> neg#0");
  const std::string sixteen = cycle_of(16), seventeen = cycle_of(17);
  EXPECT_EQ(sixteen.find("..."), std::string::npos) << sixteen;
  EXPECT_NE(seventeen.find(" -> ... (17 nodes) -> neg#0"), std::string::npos) << seventeen;
}

}  // namespace
}  // namespace lazuli
