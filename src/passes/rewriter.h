// Defines Rewriter: edits of a graph that keep use counts exact and are applied to all readers at once.
#pragma once

#include <cstdint>
#include <vector>

#include "lazuli/graph.h"

namespace lazuli {

/// Rewrites a topologically ordered graph. Replaced values are forwarded lazily, so each edit costs what it touches and not a walk over the
/// graph. Visit nodes in order and call `resolve_inputs` on each before looking at it.
class Rewriter {
 public:
  explicit Rewriter(ComputationGraph& graph);

  const ComputationGraph& graph() const { return g_; }
  size_t size() const { return g_.nodes.size(); }
  const GraphNode& node(Value v) const { return g_.node(v); }
  const GraphNode& node(int32_t n) const { return g_.nodes[static_cast<size_t>(n)]; }
  const TensorSpec& spec(Value v) const { return g_.spec(v); }

  /// Where a value lives now.
  Value resolve(Value v) const;
  void resolve_inputs(int32_t n);
  /// Operands and graph outputs that read `v`, counting only nodes that something still needs.
  int uses(Value v) const { return uses_[slot(v)]; }
  bool is_output(Value v) const { return output_[slot(v)] != 0; }
  /// True when no result of the node is needed any more.
  bool is_dead(int32_t n) const;

  /// Appends a node with inferred results.
  Value add(Op op, std::vector<Value> inputs, Attrs attrs = {}, const TensorSpec* target = nullptr);
  /// Appends a node as it is.
  Value add(GraphNode node);
  /// Takes back the nodes appended from number `count` on; nothing may read them.
  void drop_from(size_t count);
  /// Points all readers of `from` to `to`.
  void replace(Value from, Value to);
  /// Makes node `n` another op with the same results.
  void become(int32_t n, Op op, std::vector<Value> inputs, Attrs attrs);
  void become(int32_t n, GraphNode node);

  /// Calls `f` with each node that something needs, in order, operands resolved; not with those that `f` appends, which are complete
  /// already.
  template <class F>
  void visit_live(F&& f) {
    const size_t count = size();
    for (size_t k = 0; k < count; ++k) {
      const auto n = static_cast<int32_t>(k);
      if (is_dead(n)) continue;
      resolve_inputs(n);
      f(n);
    }
  }

  /// Applies all replacements, drops what is not needed and sorts.
  void finish();

 private:
  size_t slot(Value v) const { return first_[static_cast<size_t>(v.node)] + static_cast<size_t>(v.out); }
  void extend(size_t outputs);
  void release(Value v);

  ComputationGraph& g_;
  std::vector<uint32_t> first_;  // of each node, its first entry in the vectors below
  std::vector<int32_t> uses_;
  std::vector<uint8_t> output_;
  mutable std::vector<Value> forward_;  // node -1: not replaced
  std::vector<Value> pending_;
  bool changed_ = false;
};

}  // namespace lazuli
