// Defines ComputationGraph, a snapshot of the nodes that some outputs need, with its explicit builder and its printers.
#pragma once

#include <string>
#include <vector>

#include "lazuli/operation.h"
#include "lazuli/tensor.h"

namespace lazuli {

/// Output `out` of node `node` of a graph.
struct Value {
  int32_t node = -1;  ///< index of the node; -1: no value
  int32_t out = 0;    ///< index of its output
  /// Whether both are the same output of the same node.
  bool operator==(const Value&) const = default;
};

/// One op of a graph with its operands and results.
struct GraphNode {
  Op op{};                          ///< the op
  Attrs attrs;                      ///< see ops.def
  std::vector<Value> inputs;        ///< operands
  std::vector<TensorSpec> outputs;  ///< dtype and shape of each result
  Payload payload;                  ///< ElementwiseProgram of fused_elementwise, or what `checkpoint` recomputes
  Tensor constant;                  ///< data of Op::constant
  std::string label;                ///< name of the fusion that made the node, or empty
  Where where;                      ///< where it was recorded

  /// The payload of a fused_elementwise; null for other ops.
  const ElementwiseProgram* program() const { return dynamic_cast<const ElementwiseProgram*>(payload.get()); }
};

/// Nodes, edges and outputs. A captured graph lists nodes in topological order; one made by hand need not.
class ComputationGraph {
 public:
  std::vector<GraphNode> nodes;  ///< in topological order, unless made by hand
  std::vector<Value> outputs;    ///< the results of the graph
  int input_count = 0;           ///< Op::input leaves carry indices below this
  int scalar_count = 0;          ///< Op::scalar leaves carry indices below this

  /// The number of nodes.
  size_t size() const { return nodes.size(); }
  ///@{
  /// The dtype and shape of a value, and the node that computes it. The value must belong to this graph, which is not checked.
  const TensorSpec& spec(Value v) const { return nodes[static_cast<size_t>(v.node)].outputs[static_cast<size_t>(v.out)]; }
  const GraphNode& node(Value v) const { return nodes[static_cast<size_t>(v.node)]; }
  GraphNode& node(Value v) { return nodes[static_cast<size_t>(v.node)]; }
  ///@}

  /// Appends a node, inferring its outputs; returns its first output.
  Value add(Op op, std::vector<Value> inputs, Attrs attrs = {}, const TensorSpec* target = nullptr, Payload payload = {});
  /// Returns node indices, operands before users. Throws GraphError naming a cycle.
  std::vector<int32_t> topological_order() const;
  /// Returns how many operands read each output of each node. A graph output counts as one more.
  std::vector<std::vector<int32_t>> use_counts() const;
  /// Checks edges (in range, no cycle), operand counts, and each node's specs against the op's rule. Throws GraphError.
  void verify() const;
  /// Points every reader of `from` (and graph outputs) to `to`.
  void replace_uses(Value from, Value to);
  /// Drops nodes that no output needs (inputs stay) and puts the rest in topological order.
  void compact();

  ///@{
  /// Returns the graph as text with one line per node, in the language of Graphviz, or as one JSON object.
  std::string to_text() const;
  std::string to_dot() const;
  std::string to_json() const;
  ///@}
};

/// Makes a graph node by node and edge by edge; `build` verifies it.
class GraphBuilder {
 public:
  /// Adds the next argument of a run.
  Value input(DType dtype, const Shape& shape);
  /// Adds data that is part of the graph.
  Value constant(const Tensor& value);
  /// Adds a node with its operands. Shapes are checked at once, with the op's rule.
  Value node(Op op, std::vector<Value> inputs, Attrs attrs = {}, const TensorSpec* target = nullptr);
  /// Adds a node with declared results. Its operands are added later (see `edge`).
  Value open_node(Op op, int operands, std::vector<TensorSpec> outputs, Attrs attrs = {});
  /// Makes `from` operand number `slot` of node `to`. Throws GraphError when either does not exist.
  void edge(Value from, int32_t to, int slot);
  /// Adds a result of the graph. Throws GraphError when the value does not exist.
  void output(Value v);
  /// Verifies and returns the graph. Throws GraphError for a cycle, a missing operand or an invalid dependency.
  ComputationGraph build() const;
  /// The number of nodes so far.
  size_t size() const { return graph_.nodes.size(); }

 private:
  void check_value(Value v) const;
  ComputationGraph graph_;
};

}  // namespace lazuli
