#include "plan/schedule.h"

#include <algorithm>
#include <functional>
#include <queue>

#include "graph/attrs.h"
#include "lazuli/error.h"
#include "lazuli/op.h"

namespace lazuli {

namespace {

int64_t output_bytes(const GraphNode& n) {
  if (info(n.op).cls == OpClass::view || info(n.op).cls == OpClass::leaf) return 0;
  int64_t bytes = 0;
  for (const TensorSpec& s : n.outputs) bytes += s.shape.numel() * static_cast<int64_t>(size_of(s.dtype));
  return bytes;
}

bool is_view(const GraphNode& n) { return info(n.op).cls == OpClass::view; }

class Scheduler {
 public:
  Scheduler(const ComputationGraph& graph, bool through_views) : graph_(graph), through_views_(through_views) {
    const size_t n = graph.nodes.size();
    users_.resize(n);
    missing_.resize(n);
    readers_.resize(n);
    bytes_.resize(n);
    for (size_t i = 0; i < n; ++i) {
      bytes_[i] = output_bytes(graph.nodes[i]);
      for (const Value& v : graph.nodes[i].inputs) {
        if (counts(i)) ++readers_[owner(v)];
        auto& users = users_[static_cast<size_t>(v.node)];
        if (!users.empty() && users.back() == static_cast<int32_t>(i)) continue;
        users.push_back(static_cast<int32_t>(i));
        ++missing_[i];
      }
    }
    for (const Value& v : graph.outputs) ++readers_[owner(v)];
  }

  std::vector<int32_t> run() {
    std::vector<int32_t> order;
    order.reserve(graph_.nodes.size());
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (missing_[i] == 0) later_.push(static_cast<int32_t>(i));
    }
    while (!eager_.empty() || !later_.empty()) {
      int32_t next;
      if (!eager_.empty()) {
        next = eager_.back();
        eager_.pop_back();
      } else {
        next = later_.top();
        later_.pop();
      }
      order.push_back(next);
      finish(next);
    }
    if (order.size() != graph_.nodes.size()) graph_.topological_order();  // throws, naming the cycle
    return order;
  }

 private:
  /// The node whose memory a value is.
  size_t owner(Value v) const {
    while (through_views_ && is_view(graph_.node(v))) {
      const GraphNode& view = graph_.node(v);
      v = view.inputs[view.op == Op::checkpoint ? static_cast<size_t>(view.attrs[attr::checkpoint::arguments] + v.out) : 0];
    }
    return static_cast<size_t>(v.node);
  }
  /// Whether a node keeps what it reads alive itself.
  bool counts(size_t node) const { return !through_views_ || !is_view(graph_.nodes[node]); }

  void finish(int32_t node) {
    for (const Value& v : graph_.nodes[static_cast<size_t>(node)].inputs) {
      if (counts(static_cast<size_t>(node))) --readers_[owner(v)];
    }
    for (int32_t user : users_[static_cast<size_t>(node)]) {
      if (--missing_[static_cast<size_t>(user)] > 0) continue;
      if (shrinks(user)) {
        eager_.push_back(user);
      } else {
        later_.push(user);
      }
    }
  }

  bool shrinks(int32_t node) const {
    const GraphNode& n = graph_.nodes[static_cast<size_t>(node)];
    if (through_views_ && is_view(n)) return true;
    int64_t freed = 0, largest = 0;
    for (const Value& v : n.inputs) {
      const int64_t bytes = bytes_[owner(v)];
      largest = std::max(largest, bytes);
      if (readers_[owner(v)] == 1) freed += bytes;
    }
    const int64_t made = bytes_[static_cast<size_t>(node)];
    return largest > 0 && (made <= freed || made * 8 <= largest) && info(n.op).cls != OpClass::leaf;
  }

  const ComputationGraph& graph_;
  bool through_views_;
  std::vector<std::vector<int32_t>> users_;
  std::vector<int32_t> missing_, readers_;
  std::vector<int64_t> bytes_;
  std::vector<int32_t> eager_;
  std::priority_queue<int32_t, std::vector<int32_t>, std::greater<>> later_;
};

}  // namespace

std::vector<int32_t> schedule(const ComputationGraph& graph, bool through_views) { return Scheduler(graph, through_views).run(); }

}  // namespace lazuli
