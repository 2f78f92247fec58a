// Defines RecordedCall, what a function records when it is called with placeholders.
#pragma once

#include <span>
#include <vector>

#include "graph/node.h"
#include "lazuli/function.h"

namespace lazuli {

struct CallArgument {
  TensorSpec spec;
  bool donated = false;
};

struct RecordedCall {
  std::vector<LazyTensor> arguments, results;
  std::vector<Edge> edges;  ///< of the results, which keep their nodes alive
};

/// Throws what `f` does, and GraphError for a result without a value.
RecordedCall record_call(const Function& f, std::span<const CallArgument> arguments);

}  // namespace lazuli
