#include "passes/rewriter.h"

#include <utility>

namespace lazuli {

Rewriter::Rewriter(ComputationGraph& graph) : g_(graph) {
  first_.reserve(g_.nodes.size() + g_.nodes.size() / 4);
  for (const GraphNode& n : g_.nodes) extend(n.outputs.size());
  for (const GraphNode& n : g_.nodes) {
    for (Value v : n.inputs) ++uses_[slot(v)];
  }
  for (Value v : g_.outputs) {
    ++uses_[slot(v)];
    output_[slot(v)] = 1;
  }
}

void Rewriter::extend(size_t outputs) {
  first_.push_back(static_cast<uint32_t>(uses_.size()));
  uses_.resize(uses_.size() + outputs);
  output_.resize(uses_.size());
  forward_.resize(uses_.size());
}

Value Rewriter::resolve(Value v) const {
  Value target = v;
  while (forward_[slot(target)].node >= 0) target = forward_[slot(target)];
  while (v != target) v = std::exchange(forward_[slot(v)], target);
  return target;
}

void Rewriter::resolve_inputs(int32_t n) {
  for (Value& v : g_.nodes[static_cast<size_t>(n)].inputs) v = resolve(v);
}

bool Rewriter::is_dead(int32_t n) const {
  const GraphNode& node = g_.nodes[static_cast<size_t>(n)];
  for (size_t k = 0; k < node.outputs.size(); ++k) {
    if (uses_[first_[static_cast<size_t>(n)] + k] != 0) return false;
  }
  return true;
}

void Rewriter::release(Value v) {
  pending_.push_back(v);
  while (!pending_.empty()) {
    Value next = resolve(pending_.back());
    pending_.pop_back();
    if (--uses_[slot(next)] > 0 || !is_dead(next.node)) continue;
    const auto& inputs = g_.node(next).inputs;
    pending_.insert(pending_.end(), inputs.begin(), inputs.end());
  }
}

Value Rewriter::add(Op op, std::vector<Value> inputs, Attrs attrs, const TensorSpec* target) {
  std::vector<TensorSpec> operands;
  operands.reserve(inputs.size());
  for (Value v : inputs) operands.push_back(spec(v));
  GraphNode n;
  n.outputs = infer(Operation{op, attrs, {}}, operands, target);
  n.op = op;
  n.attrs = std::move(attrs);
  n.inputs = std::move(inputs);
  return add(std::move(n));
}

Value Rewriter::add(GraphNode node) {
  for (Value v : node.inputs) ++uses_[slot(v)];
  extend(node.outputs.size());
  g_.nodes.push_back(std::move(node));
  changed_ = true;
  return {static_cast<int32_t>(g_.nodes.size() - 1), 0};
}

void Rewriter::drop_from(size_t count) {
  while (g_.nodes.size() > count) {
    for (Value v : g_.nodes.back().inputs) --uses_[slot(v)];
    g_.nodes.pop_back();
    uses_.resize(first_.back());
    output_.resize(first_.back());
    forward_.resize(first_.back());
    first_.pop_back();
  }
}

void Rewriter::replace(Value from, Value to) {
  from = resolve(from);
  to = resolve(to);
  if (from == to) return;
  changed_ = true;
  int32_t moved = std::exchange(uses_[slot(from)], 0);
  uses_[slot(to)] += moved;
  output_[slot(to)] |= output_[slot(from)];
  forward_[slot(from)] = to;
  if (moved == 0 || !is_dead(from.node)) return;
  for (Value v : g_.node(from).inputs) release(v);
}

void Rewriter::become(int32_t n, Op op, std::vector<Value> inputs, Attrs attrs) {
  GraphNode& old = g_.nodes[static_cast<size_t>(n)];
  GraphNode node;
  node.op = op;
  node.attrs = std::move(attrs);
  node.inputs = std::move(inputs);
  node.outputs = std::move(old.outputs);
  node.label = std::move(old.label);
  node.where = old.where;
  become(n, std::move(node));
}

void Rewriter::become(int32_t n, GraphNode node) {
  changed_ = true;
  for (Value v : node.inputs) ++uses_[slot(v)];
  std::vector<Value> before = std::move(g_.nodes[static_cast<size_t>(n)].inputs);
  g_.nodes[static_cast<size_t>(n)] = std::move(node);
  for (Value v : before) release(v);
}

void Rewriter::finish() {
  if (!changed_) return;
  for (size_t n = 0; n < g_.nodes.size(); ++n) resolve_inputs(static_cast<int32_t>(n));
  for (Value& v : g_.outputs) v = resolve(v);
  g_.compact();
}

}  // namespace lazuli
