// Defines NodeRun, one run of a plan for recorded nodes.
#pragma once

#include <deque>
#include <exception>
#include <memory>
#include <span>
#include <vector>

#include "exec/executor.h"
#include "exec/run.h"
#include "graph/capture.h"

namespace lazuli {

/// Fails nodes that were claimed, and whoever waits for them.
void fail_all(std::span<Node* const> nodes, const std::exception_ptr& error);

/// One run of a plan over recorded inputs. Reused, so that a warm evaluation allocates nothing.
class NodeRun final : public Job {
 public:
  /// Copies what the run needs from the capture.
  void prepare(const Capture& capture, std::span<Node* const> outputs);
  void set_plan(std::shared_ptr<const Plan> plan) { plan_ = std::move(plan); }
  /// Keeps inputs and outputs alive until the run has ended.
  void retain();
  /// Waits for inputs that are still being computed, so never in the device's turn.
  void resolve_inputs();
  /// Runs and keeps the results; `team` as in execute. Throws the run's error.
  void compute(Team* team);
  /// Hands the results to the nodes, in the order of the captured outputs.
  void publish();
  void fail(const std::exception_ptr& error);
  /// All of it, as an executor's job or, when the caller has the device's turn, on this thread; then gives itself back.
  void run() override { run({}); }
  void run(std::unique_lock<std::mutex> turn);
  /// Lets later runs of this executor count on the outputs.
  void queued() override;

  /// An unused one; `give_back` returns it.
  static NodeRun* take();
  static void give_back(NodeRun* run);

 private:
  const Tensor& input(size_t k) const { return inputs_[k].node->value(inputs_[k].out); }
  /// Input k when nobody but this run holds it.
  const Tensor* donated(size_t k) const;
  void finish();

  std::shared_ptr<const Plan> plan_;
  std::vector<Node*> outputs_;
  std::vector<Edge> inputs_;
  std::vector<uint64_t> scalars_;
  std::vector<Where> nodes_at_;
  std::vector<const void*> input_pointers_;
  std::deque<Tensor> moved_;  ///< copies of inputs that the device cannot read where they are
  ResultMemory memory_;
  std::vector<Tensor> results_;
  int retained_ = 0;
};

}  // namespace lazuli
