// Declares the order of execution that keeps little memory alive.
#pragma once

#include <vector>

#include "lazuli/graph.h"

namespace lazuli {

/// Node indices, operands first. A ready node that gives back at least as much memory as it takes, or whose result is small beside what it
/// reads, runs as soon as it can (a weight gradient at once, not after the whole backward pass); the others keep the graph's order.
/// With `through_views` memory that is read through a view counts too: less is alive at a time, and fewer steps can run side by side.
std::vector<int32_t> schedule(const ComputationGraph& graph, bool through_views);

}  // namespace lazuli
