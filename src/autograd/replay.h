// Defines the snapshot of recorded nodes as a ComputationGraph and its way back: recording a graph on given leaves.
#pragma once

#include <span>
#include <vector>

#include "lazuli/lazy_tensor.h"

namespace lazuli::autograd {

/// A graph and what its leaves stand for: Op::input leaf k is `inputs[k]`, Op::scalar leaf k is `scalars[k]`.
struct Snapshot {
  ComputationGraph graph;
  std::vector<LazyTensor> inputs;
  std::vector<LazyTensor> scalars;
};

/// The recorded nodes behind `outputs`. Published nodes and the nodes of `stops` become inputs.
Snapshot snapshot(std::span<const LazyTensor> outputs, std::span<const LazyTensor> stops);

/// Records the nodes that the graph's outputs need and returns the outputs.
std::vector<LazyTensor> replay(const ComputationGraph& graph, std::span<const LazyTensor> inputs, std::span<const LazyTensor> scalars);

}  // namespace lazuli::autograd
