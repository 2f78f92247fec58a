// Declares evaluation of recorded nodes: now, or by the device's executor.
#pragma once

#include <span>

#include "graph/node.h"

namespace lazuli {

enum class EvalMode : uint8_t { wait, async };

/// Computes the nodes behind `values` in one plan. `async` returns after submission; a later `Node::wait` blocks for the result.
void evaluate(std::span<const LazyTensor> values, Device device, EvalMode mode);
/// Blocks until `node` is ready or failed. On the device's own executor thread it runs waiting jobs meanwhile.
void wait_for(const Node* node, Device device);

}  // namespace lazuli
