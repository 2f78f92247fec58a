// Defines an interpreter of graphs for tests: node by node on one backend, without planner or executor.
#pragma once

#include <span>
#include <vector>

#include "backend/backend.h"
#include "lazuli/graph.h"

namespace lazuli {

struct InterpreterOptions {
  const Backend* backend = nullptr;  ///< null: the reference backend
  bool in_double = false;            ///< every float is an f64, so results are as good as exact
};

/// The graph's outputs. `inputs[k]` is the data of Op::input k and `scalars[k]` the value of Op::scalar k.
std::vector<Tensor> interpret(const ComputationGraph& graph, std::span<const Tensor> inputs, std::span<const double> scalars = {},
                              const InterpreterOptions& options = {});

}  // namespace lazuli
