// Optimises graphs with constants computed by the kernels of a device.
#include "lazuli/optimize.h"

#include "graph/attrs.h"
#include "lazuli/error.h"
#include "lazuli/op.h"
#include "plan/plan.h"
#include "plan/result_memory.h"
#include "tensor/device_memory.h"

namespace lazuli {

namespace {

/// What is worth computing while a graph is optimised.
constexpr double kMostNs = 20e3;

ComputationGraph graph_of(const GraphNode& node, std::span<const Tensor> operands) {
  ComputationGraph g;
  GraphNode alone = node;
  alone.inputs.clear();
  for (const Tensor& t : operands) {
    const TensorSpec spec{t.dtype(), t.shape()};
    Attrs attrs;
    attrs[attr::input::index] = g.input_count++;
    alone.inputs.push_back(g.add(Op::input, {}, attrs, &spec));
  }
  const auto index = static_cast<int32_t>(g.nodes.size());
  for (size_t k = 0; k < alone.outputs.size(); ++k) g.outputs.push_back({index, static_cast<int32_t>(k)});
  g.nodes.push_back(std::move(alone));
  return g;
}

std::vector<Tensor> compute(const GraphNode& node, std::span<const Tensor> operands, Device device) {
  std::vector<Strides> strides;
  std::vector<const void*> inputs;
  strides.reserve(operands.size());
  inputs.reserve(operands.size());
  for (const Tensor& t : operands) {
    strides.push_back(t.strides());
    inputs.push_back(t.raw());
  }
  const Plan plan = make_plan(graph_of(node, operands), device, strides);
  if (plan.cost_ns > kMostNs || !plan.run_inline) return {};
  ResultMemory memory;
  memory.take(plan, [](size_t) { return nullptr; });
  const RunMemory run{inputs.data(), nullptr, memory.pointers(), memory.donated()};
  const BufferRef lease = allocate_buffer(plan.workspace_bytes + plan.thread_scratch_bytes);
  auto* workspace = static_cast<std::byte*>(lease->data());
  std::vector<void*> pointers;
  for (const Location& l : plan.pointers) pointers.push_back(address_of(l, plan, run, workspace, nullptr));
  run_in_turn(plan, run, pointers.data(), workspace, workspace + plan.workspace_bytes);
  std::vector<Tensor> results;
  memory.collect(
      plan, [&](size_t k) -> const Tensor& { return operands[k]; }, results);
  for (Tensor& t : results) t = t.contiguous();
  return results;
}

}  // namespace

FoldFunction fold_on(Device device) {
  // What a device of its own memory computes would have to come back first; constants are few.
  if (!on_host(device)) device = Device{};
  return [device](const GraphNode& node, std::span<const Tensor> operands) -> std::vector<Tensor> {
    try {
      return compute(node, operands, device);
    } catch (const Error&) {
      return {};  // the run says what is wrong, and where it was recorded
    }
  };
}

ComputationGraph optimize(const ComputationGraph& graph, OptimizerReport* report) {
  ComputationGraph result = graph;
  GraphOptimizer optimizer = GraphOptimizer::standard();
  optimizer.set_fold(fold_on({}));
  optimizer.run(result, report);
  return result;
}

}  // namespace lazuli
