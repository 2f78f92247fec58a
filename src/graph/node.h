// Defines Node, the immutable recorded op behind a LazyTensor, and the guard under which nodes are walked.
#pragma once

#include <atomic>
#include <exception>
#include <memory>
#include <span>

#include "lazuli/lazy_tensor.h"

namespace lazuli {

/// Life of a node's value. `submitted` means that an executor holds the run that makes it, so a later run on the same device may count on
/// it.
enum class NodeState : uint8_t { recorded, claimed, submitted, ready, failed };

struct Edge {
  Node* node;
  uint32_t out;
};

/// One recorded op. All members but the reference count, the state and what the state publishes are fixed when the node is made.
class Node {
 public:
  /// A node with `n_inputs` edges to fill (each edge owns one reference).
  static Node* make(Op op, uint32_t n_inputs, uint32_t n_outputs);

  void retain() { refs_.fetch_add(1, std::memory_order_relaxed); }
  /// Drops one reference; frees the node and whatever hangs on it alone, without recursion.
  static void release(Node* node);
  uint32_t reference_count() const { return refs_.load(std::memory_order_acquire); }

  NodeState state() const { return state_.load(std::memory_order_acquire); }
  bool ready() const { return state() == NodeState::ready; }
  std::span<const Edge> edges() const { return {edges_begin(), n_inputs_}; }
  std::span<Edge> edges() { return {edges_begin(), n_inputs_}; }
  uint32_t n_outputs() const { return n_outputs_; }
  /// dtype and shape of an output.
  DType dtype_of_output(uint32_t out) const { return out == 0 ? dtype : extra[out - 1].dtype; }
  const Shape& shape_of_output(uint32_t out) const { return out == 0 ? shape : extra[out - 1].shape; }
  /// The published value; only for ready nodes.
  const Tensor& value(uint32_t out) const { return values_[out]; }
  /// Why the node failed; only for failed nodes.
  const std::exception_ptr& error() const { return *error_; }

  /// recorded -> claimed; false when another run has it.
  bool claim();
  void mark_submitted();
  /// Sets the values (n_outputs of them, moved from), wakes waiters and drops the edges.
  void publish(Tensor* values);
  void fail(std::exception_ptr error);
  /// Blocks until ready or failed; rethrows the failure.
  void wait() const;
  /// A ready leaf's value is set before anybody else sees the node.
  void set_leaf_value(Tensor value);

  Op op;
  DType dtype = DType::f32;
  uint32_t donate = 0;    ///< bit k: operand k's memory may go to the result
  int32_t argument = -1;  ///< of a compiled function's placeholder: which argument it stands for
  uint64_t id;
  Shape shape;
  Attrs attrs;
  Payload payload;
  Where where;
  std::unique_ptr<TensorSpec[]> extra;  ///< outputs after the first

 private:
  Node(Op o, uint32_t n_inputs, uint32_t n_outputs);
  ~Node() = default;
  const Edge* edges_begin() const { return reinterpret_cast<const Edge*>(this + 1); }
  Edge* edges_begin() { return reinterpret_cast<Edge*>(this + 1); }
  static void destroy_shell(Node* node);
  void drop_edges();
  void set_values(Tensor* values);
  void finish(NodeState s);

  std::atomic<uint32_t> refs_{1};
  std::atomic<NodeState> state_{NodeState::recorded};
  uint16_t n_outputs_;
  uint32_t n_inputs_;
  uint32_t inputs_allocated_;
  Tensor* values_ = nullptr;
  std::unique_ptr<std::exception_ptr> error_;
  Node* next_dead_ = nullptr;
};

/// While one exists on this thread, edges of nodes that were not published when the walk began stay alive: a publisher waits for such walks
/// before it drops edges. Walks must be short and must not wait for anything.
class GraphReadGuard {
 public:
  GraphReadGuard();
  ~GraphReadGuard();
  GraphReadGuard(const GraphReadGuard&) = delete;
  GraphReadGuard& operator=(const GraphReadGuard&) = delete;
};
/// Returns when every walk that was under way at the call has ended.
void wait_for_graph_readers();

/// A placeholder leaf for argument `index` of a function being traced.
LazyTensor make_placeholder(int32_t index, DType dtype, const Shape& shape);

}  // namespace lazuli
