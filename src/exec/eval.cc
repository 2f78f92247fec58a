#include "exec/eval.h"

#include <mutex>
#include <unordered_map>

#include "base/trace.h"
#include "exec/executor.h"
#include "exec/run.h"
#include "graph/capture.h"
#include "lazuli/future.h"
#include "plan/plan_cache.h"

namespace lazuli {

namespace {

thread_local Device current_device;

/// Coroutines that wait for nodes. The counter lets a publisher skip the lock when nobody waits.
struct Continuations {
  std::atomic<int> count{0};
  std::mutex mutex;
  std::unordered_multimap<const Node*, std::coroutine_handle<>> waiting;
};
Continuations& continuations() {
  static auto* const c = new Continuations;
  return *c;
}

void resume_waiters(const Node* node) {
  Continuations& c = continuations();
  if (c.count.load(std::memory_order_seq_cst) == 0) return;
  std::vector<std::coroutine_handle<>> ready;
  {
    std::lock_guard lock(c.mutex);
    auto [begin, end] = c.waiting.equal_range(node);
    for (auto it = begin; it != end; ++it) ready.push_back(it->second);
    c.waiting.erase(begin, end);
    c.count.fetch_sub(static_cast<int>(ready.size()));
  }
  for (auto handle : ready) handle.resume();
}

void fail_all(std::span<Node* const> nodes, const std::exception_ptr& error) {
  for (Node* n : nodes) {
    n->retain();
    n->fail(error);
    resume_waiters(n);
    Node::release(n);
  }
}

/// Hands the results of a run to its nodes, in the order of the captured outputs.
void publish_all(std::span<Node* const> nodes, std::vector<Tensor>& results) {
  size_t next = 0;
  for (Node* n : nodes) {
    const size_t count = n->n_outputs();
    n->retain();
    n->publish(results.data() + next);
    resume_waiters(n);
    Node::release(n);
    next += count;
  }
}

/// One run of a plan over recorded inputs. Reused, so that a warm evaluation allocates nothing.
class NodeRun final : public Job {
 public:
  /// Copies what the run needs from the capture; retained inputs keep their memory.
  void prepare(const Capture& capture, std::span<Node* const> outputs) {
    outputs_.assign(outputs.begin(), outputs.end());
    inputs_.assign(capture.inputs().begin(), capture.inputs().end());
    scalars_.assign(capture.scalars().begin(), capture.scalars().end());
    retained_ = 0;
    for (const Edge& e : inputs_) {
      if (e.node->argument >= 0) throw GraphError("eval: the value depends on an argument of a function that is being traced");
    }
  }
  void set_plan(std::shared_ptr<const Plan> plan) { plan_ = std::move(plan); }
  void retain() {
    for (const Edge& e : inputs_) e.node->retain();
    for (Node* n : outputs_) n->retain();
    retained_ = 1;
  }

  /// Runs and keeps the results. Throws the run's error.
  void compute(bool team) {
    const Plan& plan = *plan_;
    resolve_inputs();
    buffers_.clear();
    output_pointers_.clear();
    if (donated_size_ < plan.buffers.size()) {
      donated_size_ = plan.buffers.size();
      donated_ = std::make_unique<bool[]>(donated_size_);
    }
    for (size_t k = 0; k < plan.buffers.size(); ++k) {
      const OutputBuffer& b = plan.buffers[k];
      donated_[k] = b.donor >= 0 && may_take(static_cast<size_t>(b.donor), b.bytes);
      buffers_.push_back(donated_[k] ? inputs_value(static_cast<size_t>(b.donor)).buffer() : allocate_buffer(b.bytes));
      output_pointers_.push_back(donated_[k] ? inputs_value(static_cast<size_t>(b.donor)).raw() : buffers_.back()->data());
    }
    execute(plan, {input_pointers_.data(), scalars_.data(), output_pointers_.data(), donated_.get()}, team);
    results_.clear();
    for (const ResultView& r : plan.results) {
      results_.push_back(r.input >= 0 ? make_result(r, inputs_value(static_cast<size_t>(r.input)))
                                      : make_result(r, buffers_[static_cast<size_t>(r.buffer)]));
    }
  }

  void publish() {
    publish_all(outputs_, results_);
    finish();
  }
  void fail(const std::exception_ptr& error) {
    fail_all(outputs_, error);
    finish();
  }

  void run() override {
    try {
      compute(true);
    } catch (...) {
      fail(std::current_exception());
      give_back(this);
      return;
    }
    publish();
    give_back(this);
  }

  static NodeRun* take() {
    Pool& p = pool();
    std::lock_guard lock(p.mutex);
    if (p.free.empty()) return new NodeRun;
    NodeRun* run = p.free.back();
    p.free.pop_back();
    return run;
  }
  static void give_back(NodeRun* run) {
    Pool& p = pool();
    std::lock_guard lock(p.mutex);
    p.free.push_back(run);
  }

 private:
  struct Pool {
    std::mutex mutex;
    std::vector<NodeRun*> free;
  };
  static Pool& pool() {
    static auto* const p = new Pool;
    return *p;
  }

  void resolve_inputs() {
    input_pointers_.clear();
    for (const Edge& e : inputs_) {
      if (e.node->state() != NodeState::ready) e.node->wait();  // another device's run
      const Tensor& t = e.node->value(e.out);
      input_pointers_.push_back(t.raw());
    }
  }
  const Tensor& inputs_value(size_t k) const { return inputs_[k].node->value(inputs_[k].out); }
  bool may_take(size_t donor, size_t bytes) const {
    const Edge& e = inputs_[donor];
    const Tensor& t = inputs_value(donor);
    return e.node->reference_count() == 1u + static_cast<uint32_t>(retained_) && t.buffer()->unique() && t.offset_bytes() == 0 &&
           t.buffer()->bytes() >= bytes;
  }
  void finish() {
    if (retained_ != 0) {
      for (const Edge& e : inputs_) Node::release(e.node);
      for (Node* n : outputs_) Node::release(n);
    }
    retained_ = 0;
    results_.clear();
    buffers_.clear();
    plan_.reset();
  }

  std::shared_ptr<const Plan> plan_;
  std::vector<Node*> outputs_;
  std::vector<Edge> inputs_;
  std::vector<uint64_t> scalars_;
  std::vector<const void*> input_pointers_;
  std::vector<void*> output_pointers_;
  std::vector<BufferRef> buffers_;
  std::vector<Tensor> results_;
  std::unique_ptr<bool[]> donated_;
  size_t donated_size_ = 0;
  int retained_ = 0;
};

/// What one thread needs to evaluate; reused.
struct Evaluator {
  Capture capture;
  std::vector<Node*> claimed;
  std::vector<Edge> edges;
  NodeRun inline_run;

  void claim(std::span<const LazyTensor> values) {
    claimed.clear();
    edges.clear();
    for (const LazyTensor& v : values) {
      Node* n = v.checked();
      if (n->state() != NodeState::recorded || !n->claim()) continue;
      claimed.push_back(n);
      for (uint32_t k = 0; k < n->n_outputs(); ++k) edges.push_back({n, k});
    }
  }

  void run(Device device, EvalMode mode) {
    NodeRun* queued = nullptr;
    std::shared_ptr<const Plan> plan;
    ComputationGraph graph;
    std::vector<Strides> strides;
    {
      GraphReadGuard guard;
      capture.walk(edges);
      plan = PlanCache::global().find(capture, device);
      if (plan != nullptr && plan->run_inline && mode == EvalMode::wait && !capture.has_pending_inputs()) {
        inline_run.prepare(capture, claimed);
        inline_run.set_plan(std::move(plan));
        inline_run.compute(false);
      } else {
        if (plan == nullptr) graph = capture.graph(&strides);
        queued = NodeRun::take();
        queued->prepare(capture, claimed);
        queued->retain();
      }
    }
    if (queued == nullptr) {
      inline_run.publish();
      return;
    }
    try {
      if (plan == nullptr) plan = PlanCache::global().make(capture, std::move(graph), std::move(strides), device);
    } catch (...) {
      queued->fail(std::current_exception());
      NodeRun::give_back(queued);
      return;
    }
    queued->set_plan(std::move(plan));
    for (Node* n : claimed) n->mark_submitted();
    Executor::of(device).submit(queued);
  }
};

/// The calling thread's evaluator; a coroutine resumed in the middle of an evaluation gets another one.
class EvaluatorLease {
 public:
  EvaluatorLease() {
    if (depth() == stack().size()) stack().push_back(std::make_unique<Evaluator>());
    evaluator_ = stack()[depth()++].get();
  }
  ~EvaluatorLease() { --depth(); }
  EvaluatorLease(const EvaluatorLease&) = delete;
  EvaluatorLease& operator=(const EvaluatorLease&) = delete;
  Evaluator& operator*() const { return *evaluator_; }

 private:
  static std::vector<std::unique_ptr<Evaluator>>& stack() {
    thread_local std::vector<std::unique_ptr<Evaluator>> s;
    return s;
  }
  static size_t& depth() {
    thread_local size_t d = 0;
    return d;
  }
  Evaluator* evaluator_;
};

void wait_for(const Node* node, Device device) {
  Executor& executor = Executor::of(device);
  if (executor.on_own_thread()) {
    while (node->state() < NodeState::ready && executor.help()) {
    }
  }
  node->wait();
}

}  // namespace

void evaluate(std::span<const LazyTensor> values, Device device, EvalMode mode) {
  const EvaluatorLease lease;
  Evaluator& e = *lease;
  e.claim(values);
  if (!e.claimed.empty()) {
    try {
      e.run(device, mode);
    } catch (...) {
      fail_all(e.claimed, std::current_exception());
    }
  }
  if (mode == EvalMode::async) return;
  for (const LazyTensor& v : values) wait_for(v.node(), device);
}

Device default_device() { return current_device; }
void set_default_device(Device device) {
  backend_for(device);
  current_device = device;
}

Tensor LazyTensor::eval() const {
  const Node* n = checked();
  if (!n->ready()) evaluate({this, 1}, current_device, EvalMode::wait);
  return n->value(out_);
}

Future<Tensor> LazyTensor::eval_async() const {
  if (!checked()->ready()) evaluate({this, 1}, current_device, EvalMode::async);
  return Future<Tensor>(*this);
}

std::vector<Tensor> eval(std::span<const LazyTensor> values) {
  evaluate(values, current_device, EvalMode::wait);
  std::vector<Tensor> results;
  results.reserve(values.size());
  for (const LazyTensor& v : values) results.push_back(v.node()->value(v.out()));
  return results;
}

std::vector<Future<Tensor>> eval_async(std::span<const LazyTensor> values) {
  evaluate(values, current_device, EvalMode::async);
  std::vector<Future<Tensor>> futures;
  futures.reserve(values.size());
  for (const LazyTensor& v : values) futures.emplace_back(v);
  return futures;
}

namespace detail {

bool resume_when_done(const LazyTensor& value, std::coroutine_handle<> handle) {
  Continuations& c = continuations();
  const Node* node = value.checked();
  std::lock_guard lock(c.mutex);
  c.count.fetch_add(1, std::memory_order_seq_cst);
  if (node->state() >= NodeState::ready) {
    c.count.fetch_sub(1);
    return false;
  }
  c.waiting.emplace(node, handle);
  return true;
}

}  // namespace detail

void Future<Tensor>::push() const {
  if (value_.checked()->state() != NodeState::recorded) return;
  if (batch_) batch_->flush();
  evaluate({&value_, 1}, current_device, EvalMode::async);
}
bool Future<Tensor>::ready() const { return value_.checked()->state() >= NodeState::ready; }
bool Future<Tensor>::await_ready() const {
  push();
  return ready();
}
void Future<Tensor>::wait() const {
  push();
  wait_for(value_.checked(), current_device);
}
Tensor Future<Tensor>::get() const {
  wait();
  return value_.node()->value(value_.out());
}

void synchronize(Device device) { Executor::of(device).synchronize(); }

}  // namespace lazuli
