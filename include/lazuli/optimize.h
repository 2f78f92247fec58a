// Declares the optimisation of a graph with the kernels of a device, which compute its constants.
#pragma once

#include "lazuli/optimizer.h"

namespace lazuli {

/// Returns a function that folds with the kernels that a run on the device would use. Nodes that take long or fail are left for the run.
FoldFunction fold_on(Device device);
/// Returns the graph after the standard passes, with constants computed by the kernels of the CPU.
ComputationGraph optimize(const ComputationGraph& graph, OptimizerReport* report = nullptr);

}  // namespace lazuli
