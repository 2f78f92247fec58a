// Defines RecordedGraph, the recorded nodes behind some values with operands before their users.
#pragma once

#include <span>
#include <unordered_map>
#include <vector>

#include "graph/node.h"

namespace lazuli::autograd {

/// Result `out` of node number `node` of a RecordedGraph.
struct RecordedValue {
  uint32_t node;
  uint32_t out;
};

/// What some values were recorded from. Nodes whose values are published, and the nodes of `stops`, are leaves. Handles keep all nodes
/// alive.
class RecordedGraph {
 public:
  RecordedGraph(std::span<const LazyTensor> outputs, std::span<const LazyTensor> stops);

  size_t size() const { return nodes_.size(); }
  /// The first so many nodes are those of `stops`.
  size_t stop_count() const { return stop_count_; }
  const Node& node(size_t n) const { return *nodes_[n].node(); }
  /// The node's payload as it was when the node was met, or null: publishing a node lets go of it.
  const Payload& payload(size_t n) const;
  std::span<const RecordedValue> operands(size_t n) const {
    return std::span(operands_).subspan(first_operand_[n], first_operand_[n + 1] - first_operand_[n]);
  }
  /// A handle on a result.
  LazyTensor handle(RecordedValue v) const;
  /// The number of a node that was met, or size().
  size_t find(const LazyTensor& x) const;

 private:
  void visit(Node* root);
  void add(Node* node, std::span<const Edge> edges);

  std::vector<LazyTensor> nodes_;
  size_t stop_count_ = 0;
  std::vector<size_t> first_operand_{0};
  std::vector<RecordedValue> operands_;
  std::unordered_map<const Node*, uint32_t> numbers_;
  std::unordered_map<size_t, Payload> payloads_;
};

}  // namespace lazuli::autograd
