#include "graph/node.h"

#include <thread>

#include "base/slab.h"
#include "base/spin.h"

namespace lazuli {

namespace {

constexpr uint32_t kInlineEdges = 4;
using NodeSlab = Slab<sizeof(Node) + kInlineEdges * sizeof(Edge)>;
using ValueSlab = Slab<sizeof(Tensor)>;

/// Ids come in blocks so that threads do not share a counter line for every node.
uint64_t next_id() {
  constexpr uint64_t kBlock = 4096;
  static std::atomic<uint64_t> counter{1};
  thread_local uint64_t next = 0, end = 0;
  if (next == end) {
    next = counter.fetch_add(kBlock, std::memory_order_relaxed);
    end = next + kBlock;
  }
  return next++;
}

/// One word a thread: odd while the thread walks a graph. Slots are never freed; a finished thread's slot is taken over by a later one.
struct alignas(64) ReaderSlot {
  std::atomic<uint64_t> epoch{0};
  std::atomic<bool> taken{true};
  ReaderSlot* next = nullptr;
};
std::atomic<ReaderSlot*> reader_slots{nullptr};

ReaderSlot* acquire_slot() {
  for (ReaderSlot* s = reader_slots.load(std::memory_order_acquire); s != nullptr; s = s->next) {
    bool free = false;
    if (s->taken.compare_exchange_strong(free, true, std::memory_order_acq_rel)) return s;
  }
  auto* slot = new ReaderSlot;
  slot->next = reader_slots.load(std::memory_order_relaxed);
  while (!reader_slots.compare_exchange_weak(slot->next, slot, std::memory_order_acq_rel)) {
  }
  return slot;
}

struct ThreadReader {
  ReaderSlot* slot = acquire_slot();
  int depth = 0;
  ~ThreadReader() { slot->taken.store(false, std::memory_order_release); }
};
ThreadReader& thread_reader() {
  thread_local ThreadReader reader;
  return reader;
}

}  // namespace

GraphReadGuard::GraphReadGuard() {
  ThreadReader& r = thread_reader();
  if (r.depth++ == 0) r.slot->epoch.fetch_add(1, std::memory_order_seq_cst);
}

GraphReadGuard::~GraphReadGuard() {
  ThreadReader& r = thread_reader();
  if (--r.depth == 0) r.slot->epoch.store(r.slot->epoch.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

void wait_for_graph_readers() {
  // The publisher's state store and the readers' epoch increments are all sequentially consistent: a walk that is not seen here sees the
  // new state and does not touch the edges.
  const ReaderSlot* own = thread_reader().slot;
  for (ReaderSlot* s = reader_slots.load(std::memory_order_acquire); s != nullptr; s = s->next) {
    if (s == own) continue;
    const uint64_t seen = s->epoch.load(std::memory_order_seq_cst);
    if ((seen & 1) == 0) continue;
    while (s->epoch.load(std::memory_order_acquire) == seen) std::this_thread::yield();
  }
}

Node::Node(Op o, uint32_t n_inputs, uint32_t n_outputs)
    : op(o), id(next_id()), n_outputs_(static_cast<uint16_t>(n_outputs)), n_inputs_(n_inputs), inputs_allocated_(n_inputs) {
  if (n_outputs > 1) extra = std::make_unique<TensorSpec[]>(n_outputs - 1);
}

Node* Node::make(Op op, uint32_t n_inputs, uint32_t n_outputs) {
  void* memory = n_inputs <= kInlineEdges ? NodeSlab::allocate() : ::operator new(sizeof(Node) + n_inputs * sizeof(Edge));
  return new (memory) Node(op, n_inputs, n_outputs);
}

void Node::destroy_shell(Node* node) {
  const uint32_t allocated = node->inputs_allocated_;
  if (node->values_ != nullptr) {
    for (uint32_t k = 0; k < node->n_outputs_; ++k) node->values_[k].~Tensor();
    if (node->n_outputs_ == 1) {
      ValueSlab::release(node->values_);
    } else {
      ::operator delete(node->values_);
    }
  }
  node->~Node();
  if (allocated <= kInlineEdges) {
    NodeSlab::release(node);
  } else {
    ::operator delete(node);
  }
}

void Node::release(Node* node) {
  if (node->refs_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  Node* dead = node;
  dead->next_dead_ = nullptr;
  while (dead != nullptr) {
    Node* current = dead;
    dead = current->next_dead_;
    for (const Edge& e : current->edges()) {
      if (e.node->refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        e.node->next_dead_ = dead;
        dead = e.node;
      }
    }
    destroy_shell(current);
  }
}

bool Node::claim() {
  NodeState expected = NodeState::recorded;
  return state_.compare_exchange_strong(expected, NodeState::claimed, std::memory_order_acq_rel);
}

void Node::mark_submitted() { state_.store(NodeState::submitted, std::memory_order_release); }

void Node::set_values(Tensor* values) {
  void* memory = n_outputs_ == 1 ? ValueSlab::allocate() : ::operator new(sizeof(Tensor) * n_outputs_);
  auto* out = static_cast<Tensor*>(memory);
  for (uint32_t k = 0; k < n_outputs_; ++k) new (out + k) Tensor(std::move(values[k]));
  values_ = out;
}

void Node::set_leaf_value(Tensor value) {
  set_values(&value);
  state_.store(NodeState::ready, std::memory_order_release);
}

void Node::finish(NodeState s) {
  state_.store(s, std::memory_order_seq_cst);
  state_.notify_all();
}

void Node::publish(Tensor* values) {
  set_values(values);
  // A handle dropped by a woken waiter must not free the node under the publisher; the caller holds a reference.
  finish(NodeState::ready);
  drop_edges();
}

void Node::fail(std::exception_ptr error) {
  error_ = std::make_unique<std::exception_ptr>(std::move(error));
  finish(NodeState::failed);
}

void Node::drop_edges() {
  if (n_inputs_ == 0) return;
  wait_for_graph_readers();
  const uint32_t n = n_inputs_;
  n_inputs_ = 0;
  Edge* e = edges_begin();
  for (uint32_t k = 0; k < n; ++k) release(e[k].node);
  payload.reset();
}

void Node::wait() const {
  constexpr auto kSpin = std::chrono::microseconds(100);
  spin_until([this] { return state() >= NodeState::ready; }, kSpin);
  for (NodeState s = state(); s != NodeState::ready; s = state()) {
    if (s == NodeState::failed) std::rethrow_exception(*error_);
    state_.wait(s, std::memory_order_acquire);
  }
}

}  // namespace lazuli
