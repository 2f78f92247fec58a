// Implements the walk over recorded nodes.
#include "autograd/recorded_graph.h"

namespace lazuli::autograd {

namespace {

LazyTensor shared(Node* node, uint32_t out) {
  node->retain();
  return {node, out};
}

constexpr uint32_t kOpen = ~uint32_t{0};

}  // namespace

RecordedGraph::RecordedGraph(std::span<const LazyTensor> outputs, std::span<const LazyTensor> stops) {
  const GraphReadGuard guard;
  for (const LazyTensor& x : stops) {
    if (numbers_.try_emplace(x.checked(), static_cast<uint32_t>(nodes_.size())).second) add(x.node(), {});
  }
  stop_count_ = nodes_.size();
  for (const LazyTensor& x : outputs) visit(x.checked());
}

void RecordedGraph::add(Node* node, std::span<const Edge> edges) {
  for (const Edge& e : edges) operands_.push_back({numbers_.at(e.node), e.out});
  first_operand_.push_back(operands_.size());
  if (!edges.empty() && node->payload != nullptr) payloads_.emplace(nodes_.size(), node->payload);
  numbers_[node] = static_cast<uint32_t>(nodes_.size());
  nodes_.push_back(shared(node, 0));
}

// Depth first with a stack of its own: a chain may have a million nodes.
void RecordedGraph::visit(Node* root) {
  struct Frame {
    Node* node;
    std::span<const Edge> edges;
    size_t next;
  };
  std::vector<Frame> stack;
  const auto enter = [&](Node* node) {
    if (!numbers_.try_emplace(node, kOpen).second) return;
    stack.push_back({node, node->ready() ? std::span<const Edge>() : std::as_const(*node).edges(), 0});
  };
  enter(root);
  while (!stack.empty()) {
    Frame& top = stack.back();
    if (top.next < top.edges.size()) {
      enter(top.edges[top.next++].node);
      continue;
    }
    add(top.node, top.edges);
    stack.pop_back();
  }
}

LazyTensor RecordedGraph::handle(RecordedValue v) const { return shared(nodes_[v.node].node(), v.out); }

const Payload& RecordedGraph::payload(size_t n) const {
  static const Payload none;
  const auto found = payloads_.find(n);
  return found == payloads_.end() ? none : found->second;
}

size_t RecordedGraph::find(const LazyTensor& x) const {
  const auto found = numbers_.find(x.node());
  return found == numbers_.end() ? size() : found->second;
}

}  // namespace lazuli::autograd
