// Implements snapshots of recorded nodes and their replay.
#include "autograd/replay.h"

#include <fmt/format.h>

#include "autograd/recorded_graph.h"
#include "graph/attrs.h"
#include "lazuli/error.h"
#include "lazuli/op.h"

namespace lazuli::autograd {

namespace {

/// Turns numbered recorded nodes into graph nodes. A leaf with several results becomes one input a result.
class SnapshotMaker {
 public:
  SnapshotMaker(const RecordedGraph& recorded, Snapshot& into) : recorded_(recorded), into_(into), values_(recorded.size()) {}

  void add(uint32_t n) {
    const Node& node = recorded_.node(n);
    const auto operands = recorded_.operands(n);
    const bool source = n >= recorded_.stop_count() && !node.ready() && (node.op == Op::full || node.op == Op::arange);
    values_[n].resize(node.n_outputs());
    if (operands.empty() && !source) {
      for (uint32_t k = 0; k < node.n_outputs(); ++k) values_[n][k] = leaf({n, k});
      return;
    }
    GraphNode made;
    made.op = node.op;
    made.attrs = node.attrs;
    made.payload = recorded_.payload(n);
    made.where = node.where;
    for (const RecordedValue v : operands) made.inputs.push_back(value(v));
    for (uint32_t k = 0; k < node.n_outputs(); ++k) {
      made.outputs.push_back({node.dtype_of_output(k), node.shape_of_output(k)});
      values_[n][k] = {static_cast<int32_t>(into_.graph.nodes.size()), static_cast<int32_t>(k)};
    }
    into_.graph.nodes.push_back(std::move(made));
  }
  Value value(RecordedValue v) const { return values_[v.node][v.out]; }

 private:
  Value leaf(RecordedValue v) {
    const Node& node = recorded_.node(v.node);
    const bool scalar = node.op == Op::scalar;
    auto& handles = scalar ? into_.scalars : into_.inputs;
    GraphNode made;
    made.op = scalar ? Op::scalar : Op::input;
    made.attrs[attr::input::index] = static_cast<int64_t>(handles.size());
    made.outputs.push_back({node.dtype_of_output(v.out), node.shape_of_output(v.out)});
    made.where = node.where;
    handles.push_back(recorded_.handle(v));
    into_.graph.nodes.push_back(std::move(made));
    return {static_cast<int32_t>(into_.graph.nodes.size() - 1), 0};
  }

  const RecordedGraph& recorded_;
  Snapshot& into_;
  std::vector<std::vector<Value>> values_;
};

}  // namespace

Snapshot snapshot(std::span<const LazyTensor> outputs, std::span<const LazyTensor> stops) {
  const RecordedGraph recorded(outputs, stops);
  Snapshot made;
  SnapshotMaker maker(recorded, made);
  for (uint32_t n = 0; n < recorded.size(); ++n) maker.add(n);
  for (const LazyTensor& x : outputs) made.graph.outputs.push_back(maker.value({static_cast<uint32_t>(recorded.find(x)), x.out()}));
  made.graph.input_count = static_cast<int>(made.inputs.size());
  made.graph.scalar_count = static_cast<int>(made.scalars.size());
  return made;
}

std::vector<LazyTensor> replay(const ComputationGraph& graph, std::span<const LazyTensor> inputs, std::span<const LazyTensor> scalars) {
  std::vector<std::vector<LazyTensor>> made(graph.size());
  const auto leaf_handle = [&](const GraphNode& node, std::span<const LazyTensor> handles) {
    const auto k = static_cast<size_t>(node.attrs[attr::input::index]);
    if (k >= handles.size()) throw GraphError(fmt::format("replay: {} {} of {} given", name_of(node.op), k, handles.size()));
    return handles[k];
  };
  std::vector<LazyTensor> operands;
  for (int32_t n : graph.topological_order()) {
    const GraphNode& node = graph.nodes[static_cast<size_t>(n)];
    auto& results = made[static_cast<size_t>(n)];
    if (node.op == Op::input || node.op == Op::scalar) {
      results = {leaf_handle(node, node.op == Op::input ? inputs : scalars)};
      continue;
    }
    if (node.op == Op::constant) {
      results = {LazyTensor::from_tensor(node.constant)};
      continue;
    }
    operands.clear();
    for (const Value v : node.inputs) operands.push_back(made[static_cast<size_t>(v.node)][static_cast<size_t>(v.out)]);
    results = record_all(node.op, operands, node.attrs, &node.outputs[0], node.payload, node.where);
  }
  std::vector<LazyTensor> outputs;
  for (const Value v : graph.outputs) outputs.push_back(made[static_cast<size_t>(v.node)][static_cast<size_t>(v.out)]);
  return outputs;
}

}  // namespace lazuli::autograd
