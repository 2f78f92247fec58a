#include "exec/node_run.h"

#include <mutex>

#include "exec/continuations.h"

namespace lazuli {

namespace {

struct FreeRuns {
  std::mutex mutex;
  std::vector<NodeRun*> list;
};
FreeRuns& free_runs() {
  static auto* const runs = new FreeRuns;
  return *runs;
}

}  // namespace

void fail_all(std::span<Node* const> nodes, const std::exception_ptr& error) {
  for (Node* n : nodes) {
    n->retain();
    n->fail(error);
    resume_waiters(n);
    Node::release(n);
  }
}

void NodeRun::prepare(const Capture& capture, std::span<Node* const> outputs) {
  outputs_.assign(outputs.begin(), outputs.end());
  inputs_.assign(capture.inputs().begin(), capture.inputs().end());
  scalars_.assign(capture.scalars().begin(), capture.scalars().end());
  capture.copy_wheres(nodes_at_);
  retained_ = 0;
}

void NodeRun::retain() {
  for (const Edge& e : inputs_) e.node->retain();
  for (Node* n : outputs_) n->retain();
  retained_ = 1;
}

void NodeRun::compute(Team* team) {
  memory_.take(*plan_, [this](size_t k) { return donated(k); });
  execute(*plan_, {input_pointers_.data(), scalars_.data(), memory_.pointers(), memory_.donated(), nodes_at_}, team);
  memory_.collect(
      *plan_, [this](size_t k) -> const Tensor& { return input(k); }, results_);
}

void NodeRun::publish() {
  size_t next = 0;
  for (Node* n : outputs_) {
    const size_t count = n->n_outputs();
    n->retain();
    n->publish(results_.data() + next);
    resume_waiters(n);
    Node::release(n);
    next += count;
  }
  finish();
}

void NodeRun::fail(const std::exception_ptr& error) {
  fail_all(outputs_, error);
  finish();
}

void NodeRun::run(std::unique_lock<std::mutex> turn) {
  std::exception_ptr error;
  try {
    resolve_inputs();
    Executor& executor = Executor::of(plan_->device);
    if (!turn) turn = std::unique_lock(executor.turn());
    // Threads that share so little work would spend more time on handing it over.
    compute(plan_->run_inline ? nullptr : &executor.team());
  } catch (...) {
    error = std::current_exception();
  }
  // Whoever waits may go on with a run of its own on this thread.
  if (turn) turn.unlock();
  if (error) {
    fail(error);
  } else {
    publish();
  }
  give_back(this);
}

void NodeRun::queued() {
  for (Node* n : outputs_) n->mark_submitted();
}

NodeRun* NodeRun::take() {
  FreeRuns& runs = free_runs();
  std::lock_guard lock(runs.mutex);
  if (runs.list.empty()) return new NodeRun;
  NodeRun* run = runs.list.back();
  runs.list.pop_back();
  return run;
}

void NodeRun::give_back(NodeRun* run) {
  FreeRuns& runs = free_runs();
  std::lock_guard lock(runs.mutex);
  runs.list.push_back(run);
}

void NodeRun::resolve_inputs() {
  input_pointers_.clear();
  moved_.clear();
  for (const Edge& e : inputs_) {
    if (e.node->state() != NodeState::ready) e.node->wait();  // the run of another device or thread
    input_pointers_.push_back(bring_to(e.node->value(e.out), plan_->device, moved_).raw());
  }
}

const Tensor* NodeRun::donated(size_t k) const {
  const uint32_t holders = 1u + static_cast<uint32_t>(retained_);
  return inputs_[k].node->reference_count() == holders ? &input(k) : nullptr;
}

void NodeRun::finish() {
  if (retained_ != 0) {
    for (const Edge& e : inputs_) Node::release(e.node);
    for (Node* n : outputs_) Node::release(n);
  }
  retained_ = 0;
  results_.clear();
  moved_.clear();
  memory_.release();
  plan_.reset();
}

}  // namespace lazuli
