#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "graph/attrs.h"
#include "lazuli/error.h"
#include "lazuli/graph.h"
#include "lazuli/op.h"

namespace lazuli {

namespace {

std::string node_name(const ComputationGraph& g, int32_t n) { return fmt::format("{}#{}", name_of(g.nodes[static_cast<size_t>(n)].op), n); }

// Throws unless `v` names a result that exists; `who` says which operand or output it is.
template <class Who>
void check_edge(const ComputationGraph& g, Value v, Who&& who) {
  if (v.node >= 0 && static_cast<size_t>(v.node) < g.nodes.size()) {
    size_t results = g.nodes[static_cast<size_t>(v.node)].outputs.size();
    if (v.out >= 0 && static_cast<size_t>(v.out) < results) return;
    throw GraphError(fmt::format("{} reads result {} of {}, which has {}", who(), v.out, node_name(g, v.node), results));
  }
  if (v.node == -1) throw GraphError(fmt::format("{} is missing", who()));
  throw GraphError(fmt::format("{} depends on node {}, but the graph has {} nodes", who(), v.node, g.nodes.size()));
}

void check_edges(const ComputationGraph& g) {
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    for (size_t k = 0; k < g.nodes[n].inputs.size(); ++k) {
      check_edge(g, g.nodes[n].inputs[k], [&] { return fmt::format("{}: operand {}", node_name(g, static_cast<int32_t>(n)), k); });
    }
  }
  for (size_t k = 0; k < g.outputs.size(); ++k) check_edge(g, g.outputs[k], [&] { return fmt::format("graph output {}", k); });
}

bool is_ordered(const ComputationGraph& g) {
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    for (Value v : g.nodes[n].inputs) {
      if (static_cast<size_t>(v.node) >= n) return false;
    }
  }
  return true;
}

struct Frame {
  int32_t node;
  uint32_t next_operand;
};

// The stack from the first visit of `repeated` on is the cycle, users first.
[[noreturn]] void throw_cycle(const ComputationGraph& g, const std::vector<Frame>& stack, int32_t repeated) {
  constexpr size_t kShown = 16;
  auto first = std::find_if(stack.begin(), stack.end(), [&](const Frame& f) { return f.node == repeated; });
  std::string path = "cycle: " + node_name(g, repeated);
  size_t length = static_cast<size_t>(stack.end() - first);
  size_t shown = 0;
  for (auto it = stack.end(); it != first && shown < kShown; ++shown) path += " -> " + node_name(g, (--it)->node);
  if (shown < length) path += fmt::format(" -> ... ({} nodes) -> {}", length, node_name(g, repeated));
  throw GraphError(path);
}

// Keeps the nodes marked in `needed`, which are in order.
void drop(ComputationGraph& g, const std::vector<uint8_t>& needed) {
  std::vector<int32_t> renumbered(g.nodes.size(), -1);
  size_t kept = 0;
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    if (needed[n] == 0) continue;
    renumbered[n] = static_cast<int32_t>(kept);
    for (Value& v : g.nodes[n].inputs) v.node = renumbered[static_cast<size_t>(v.node)];
    if (kept != n) g.nodes[kept] = std::move(g.nodes[n]);
    ++kept;
  }
  g.nodes.resize(kept);
  for (Value& v : g.outputs) v.node = renumbered[static_cast<size_t>(v.node)];
}

// Depth first from each root in turn, so nodes that are in order already stay so.
class Sorter {
 public:
  explicit Sorter(const ComputationGraph& g) : g_(g), state_(g.nodes.size(), kNew) { order_.reserve(g.nodes.size()); }

  void visit(int32_t root) {
    if (state_[static_cast<size_t>(root)] != kNew) return;
    enter(root);
    while (!stack_.empty()) step();
  }
  std::vector<int32_t> take() { return std::move(order_); }

 private:
  enum State : uint8_t { kNew, kOpen, kDone };

  void enter(int32_t n) {
    state_[static_cast<size_t>(n)] = kOpen;
    stack_.push_back({n, 0});
  }
  void step() {
    Frame& top = stack_.back();
    const auto& inputs = g_.nodes[static_cast<size_t>(top.node)].inputs;
    while (top.next_operand < inputs.size()) {
      int32_t operand = inputs[top.next_operand++].node;
      State s = state_[static_cast<size_t>(operand)];
      if (s == kOpen) throw_cycle(g_, stack_, operand);
      if (s == kNew) return enter(operand);
    }
    state_[static_cast<size_t>(top.node)] = kDone;
    order_.push_back(top.node);
    stack_.pop_back();
  }

  const ComputationGraph& g_;
  std::vector<State> state_;
  std::vector<Frame> stack_;
  std::vector<int32_t> order_;
};

void check_specs(const ComputationGraph& g, size_t n, std::vector<TensorSpec>& operands) {
  const GraphNode& node = g.nodes[n];
  operands.clear();
  for (Value v : node.inputs) operands.push_back(g.spec(v));
  if (node.outputs.empty()) throw GraphError(fmt::format("{}: no results are declared", node_name(g, static_cast<int32_t>(n))));
  for (const TensorSpec& s : node.outputs) s.shape.check(name_of(node.op), size_of(s.dtype));
  auto expected = infer(Operation{node.op, node.attrs, node.payload}, operands, &node.outputs[0]);
  if (expected == node.outputs) return;
  if (expected.size() != node.outputs.size()) {
    throw GraphError(
        fmt::format("{}: {} results declared, the op has {}", node_name(g, static_cast<int32_t>(n)), node.outputs.size(), expected.size()));
  }
  for (size_t k = 0; k < expected.size(); ++k) {
    if (expected[k] == node.outputs[k]) continue;
    throw GraphError(fmt::format("{}: result {} is declared {} {}, the op gives {} {}", node_name(g, static_cast<int32_t>(n)), k,
                                 name_of(node.outputs[k].dtype), to_string(node.outputs[k].shape), name_of(expected[k].dtype),
                                 to_string(expected[k].shape)));
  }
}

void check_node(const ComputationGraph& g, size_t n) {
  const GraphNode& node = g.nodes[n];
  const OpInfo& op = info(node.op);
  auto count = static_cast<int64_t>(node.inputs.size());
  if (count < op.min_inputs || (op.max_inputs >= 0 && count > op.max_inputs)) {
    throw GraphError(fmt::format("{}: {} operands, expected {}", node_name(g, static_cast<int32_t>(n)), count,
                                 op.max_inputs == op.min_inputs ? fmt::format("{}", op.min_inputs)
                                 : op.max_inputs < 0            ? fmt::format("at least {}", op.min_inputs)
                                                                : fmt::format("{} to {}", op.min_inputs, op.max_inputs)));
  }
  auto check_index = [&](int limit) {
    if (node.attrs[attr::input::index] >= 0 && node.attrs[attr::input::index] < limit) return;
    throw GraphError(fmt::format("{}: index {} of {}", node_name(g, static_cast<int32_t>(n)), node.attrs[attr::input::index], limit));
  };
  if (node.op == Op::input) check_index(g.input_count);
  if (node.op == Op::scalar) check_index(g.scalar_count);
  if (node.op != Op::constant) return;
  if (node.outputs.size() == 1 && node.constant.defined() && node.constant.dtype() == node.outputs[0].dtype &&
      node.constant.shape() == node.outputs[0].shape) {
    return;
  }
  throw GraphError(fmt::format("{}: the data does not have the declared dtype and shape", node_name(g, static_cast<int32_t>(n))));
}

}  // namespace

Value ComputationGraph::add(Op op, std::vector<Value> inputs, Attrs attrs, const TensorSpec* target, Payload payload) {
  std::vector<TensorSpec> operands;
  operands.reserve(inputs.size());
  for (size_t k = 0; k < inputs.size(); ++k) {
    check_edge(*this, inputs[k], [&] { return fmt::format("{}: operand {}", name_of(op), k); });
    operands.push_back(spec(inputs[k]));
  }
  GraphNode node;
  node.outputs = infer(Operation{op, attrs, payload}, operands, target);
  node.op = op;
  node.attrs = std::move(attrs);
  node.inputs = std::move(inputs);
  node.payload = std::move(payload);
  nodes.push_back(std::move(node));
  return {static_cast<int32_t>(nodes.size() - 1), 0};
}

std::vector<int32_t> ComputationGraph::topological_order() const {
  check_edges(*this);
  std::vector<int32_t> order(nodes.size());
  if (is_ordered(*this)) {
    for (size_t n = 0; n < order.size(); ++n) order[n] = static_cast<int32_t>(n);
    return order;
  }
  Sorter sorter(*this);
  for (size_t n = 0; n < nodes.size(); ++n) sorter.visit(static_cast<int32_t>(n));
  return sorter.take();
}

std::vector<std::vector<int32_t>> ComputationGraph::use_counts() const {
  check_edges(*this);
  std::vector<std::vector<int32_t>> counts(nodes.size());
  for (size_t n = 0; n < nodes.size(); ++n) counts[n].resize(nodes[n].outputs.size());
  auto count = [&](Value v) { ++counts[static_cast<size_t>(v.node)][static_cast<size_t>(v.out)]; };
  for (const GraphNode& n : nodes) {
    for (Value v : n.inputs) count(v);
  }
  for (Value v : outputs) count(v);
  return counts;
}

void ComputationGraph::verify() const {
  for (size_t n = 0; n < nodes.size(); ++n) check_node(*this, n);
  std::vector<TensorSpec> operands;
  for (int32_t n : topological_order()) check_specs(*this, static_cast<size_t>(n), operands);
}

void ComputationGraph::replace_uses(Value from, Value to) {
  for (GraphNode& n : nodes) std::replace(n.inputs.begin(), n.inputs.end(), from, to);
  std::replace(outputs.begin(), outputs.end(), from, to);
}

void ComputationGraph::compact() {
  check_edges(*this);
  std::vector<uint8_t> needed(nodes.size());
  std::vector<int32_t> stack;
  auto need = [&](int32_t n) {
    if (needed[static_cast<size_t>(n)] != 0) return;
    needed[static_cast<size_t>(n)] = 1;
    stack.push_back(n);
  };
  for (Value v : outputs) need(v.node);
  for (size_t n = 0; n < nodes.size(); ++n) {
    if (nodes[n].op == Op::input) need(static_cast<int32_t>(n));
  }
  while (!stack.empty()) {
    int32_t n = stack.back();
    stack.pop_back();
    for (Value v : nodes[static_cast<size_t>(n)].inputs) need(v.node);
  }
  bool ordered = is_ordered(*this);
  bool complete = std::find(needed.begin(), needed.end(), uint8_t{0}) == needed.end();
  if (complete && ordered) return;
  if (ordered) return drop(*this, needed);

  Sorter sorter(*this);
  for (size_t n = 0; n < nodes.size(); ++n) {
    if (needed[n] != 0) sorter.visit(static_cast<int32_t>(n));
  }
  std::vector<int32_t> order = sorter.take();
  std::vector<int32_t> renumbered(nodes.size(), -1);
  std::vector<GraphNode> kept;
  kept.reserve(order.size());
  for (int32_t n : order) {
    renumbered[static_cast<size_t>(n)] = static_cast<int32_t>(kept.size());
    kept.push_back(std::move(nodes[static_cast<size_t>(n)]));
    for (Value& v : kept.back().inputs) v.node = renumbered[static_cast<size_t>(v.node)];
  }
  for (Value& v : outputs) v.node = renumbered[static_cast<size_t>(v.node)];
  nodes = std::move(kept);
}

}  // namespace lazuli
