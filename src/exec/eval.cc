#include "exec/eval.h"

#include "exec/executor.h"
#include "exec/node_run.h"
#include "graph/capture.h"
#include "lazuli/future.h"
#include "plan/plan_cache.h"
#include "tensor/device_memory.h"

namespace lazuli {

namespace {

thread_local Device current_device;

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
    std::exception_ptr error;
    ComputationGraph graph;
    std::vector<Strides> strides;
    {
      GraphReadGuard guard;
      capture.walk(edges);
      for (const Edge& e : capture.inputs()) {
        if (e.node->argument >= 0) throw GraphError("eval: the value depends on an argument of a function that is being traced");
      }
      plan = PlanCache::global().find(capture, device);
      if (plan != nullptr && plan->run_inline && mode == EvalMode::wait && !capture.has_pending_inputs()) {
        inline_run.prepare(capture, claimed);
        inline_run.set_plan(std::move(plan));
        try {
          inline_run.resolve_inputs();
          inline_run.compute(nullptr);
        } catch (...) {
          error = std::current_exception();
        }
      } else {
        if (plan == nullptr) graph = capture.graph(&strides);
        queued = NodeRun::take();
        queued->prepare(capture, claimed);
        queued->retain();
      }
    }
    if (queued == nullptr) {
      if (error) {
        inline_run.fail(error);
      } else {
        inline_run.publish();
      }
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
    Executor& executor = Executor::of(device);
    if (mode == EvalMode::wait && on_host(device) && !capture.has_pending_inputs()) {
      // The caller waits anyway: where nobody else uses the device it does the work itself, and nothing is handed over and back.
      if (std::unique_lock turn = executor.free_turn()) {
        queued->queued();
        queued->run(std::move(turn));
        return;
      }
    }
    executor.submit(queued);
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

}  // namespace

void wait_for(const Node* node, Device device) {
  Executor& executor = Executor::of(device);
  if (executor.on_own_thread()) {
    while (node->state() < NodeState::ready && executor.help()) {
    }
  }
  node->wait();
}

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

}  // namespace lazuli
