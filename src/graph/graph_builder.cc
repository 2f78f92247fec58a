#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "graph/attrs.h"
#include "lazuli/error.h"
#include "lazuli/graph.h"
#include "lazuli/op.h"

namespace lazuli {

namespace {

/// Each index once and none left out: a run is given one value for each.
void check_leaves(const ComputationGraph& g, Op op, int count) {
  const auto leaves = std::count_if(g.nodes.begin(), g.nodes.end(), [&](const GraphNode& n) { return n.op == op; });
  if (count > leaves) throw GraphError(fmt::format("{}: index {}, but there are only {}", name_of(op), count - 1, leaves));
  std::vector<bool> seen(static_cast<size_t>(count));
  for (const GraphNode& n : g.nodes) {
    if (n.op != op) continue;
    const auto index = static_cast<size_t>(n.attrs[attr::scalar::index]);
    if (seen[index]) throw GraphError(fmt::format("{}: index {} occurs twice", name_of(op), index));
    seen[index] = true;
  }
}

}  // namespace

void GraphBuilder::check_value(Value v) const {
  if (v.node < 0 || static_cast<size_t>(v.node) >= graph_.nodes.size()) {
    throw GraphError(fmt::format("invalid dependency: node {} does not exist, the graph has {} nodes", v.node, graph_.nodes.size()));
  }
  const GraphNode& n = graph_.node(v);
  if (v.out < 0 || static_cast<size_t>(v.out) >= n.outputs.size()) {
    throw GraphError(fmt::format("invalid dependency: {}#{} has {} results, not {}", name_of(n.op), v.node, n.outputs.size(), v.out + 1));
  }
}

Value GraphBuilder::input(DType dtype, const Shape& shape) {
  TensorSpec spec{dtype, shape};
  Attrs attrs;
  attrs[attr::input::index] = graph_.input_count;
  Value v = graph_.add(Op::input, {}, attrs, &spec);
  ++graph_.input_count;
  return v;
}

Value GraphBuilder::constant(const Tensor& value) {
  if (!value.defined()) throw ValueError("constant: the tensor is empty-handed, expected one with data");
  TensorSpec spec{value.dtype(), value.shape()};
  Value v = graph_.add(Op::constant, {}, {}, &spec);
  graph_.node(v).constant = value;
  return v;
}

Value GraphBuilder::node(Op op, std::vector<Value> inputs, Attrs attrs, const TensorSpec* target) {
  for (Value v : inputs) check_value(v);
  Value v = graph_.add(op, std::move(inputs), std::move(attrs), target);
  // Leaves made by hand carry their index in the attributes.
  const int64_t index = graph_.node(v).attrs[attr::input::index];
  if (index < 0 || index >= INT32_MAX) return v;  // which `build` refuses
  const auto count = static_cast<int>(index) + 1;
  if (op == Op::input) graph_.input_count = std::max(graph_.input_count, count);
  if (op == Op::scalar) graph_.scalar_count = std::max(graph_.scalar_count, count);
  return v;
}

Value GraphBuilder::open_node(Op op, int operands, std::vector<TensorSpec> outputs, Attrs attrs) {
  if (operands < 0) throw ValueError(fmt::format("open_node: {} operands, expected 0 or more", operands));
  for (const TensorSpec& s : outputs) s.shape.check("open_node", size_of(s.dtype));
  GraphNode n;
  n.op = op;
  n.attrs = std::move(attrs);
  n.inputs.resize(static_cast<size_t>(operands));
  n.outputs = std::move(outputs);
  graph_.nodes.push_back(std::move(n));
  return {static_cast<int32_t>(graph_.nodes.size() - 1), 0};
}

void GraphBuilder::edge(Value from, int32_t to, int slot) {
  check_value(from);
  if (to < 0 || static_cast<size_t>(to) >= graph_.nodes.size()) {
    throw GraphError(fmt::format("invalid dependency: node {} does not exist, the graph has {} nodes", to, graph_.nodes.size()));
  }
  GraphNode& n = graph_.nodes[static_cast<size_t>(to)];
  if (slot < 0 || static_cast<size_t>(slot) >= n.inputs.size()) {
    throw GraphError(fmt::format("invalid dependency: {}#{} has {} operands, not {}", name_of(n.op), to, n.inputs.size(), slot + 1));
  }
  n.inputs[static_cast<size_t>(slot)] = from;
}

void GraphBuilder::output(Value v) {
  check_value(v);
  graph_.outputs.push_back(v);
}

ComputationGraph GraphBuilder::build() const {
  graph_.verify();
  check_leaves(graph_, Op::input, graph_.input_count);
  check_leaves(graph_, Op::scalar, graph_.scalar_count);
  return graph_;
}

}  // namespace lazuli
