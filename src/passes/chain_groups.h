// Defines how elementwise nodes are grouped into chains that may run as one program each.
#pragma once

#include <cstdint>
#include <vector>

#include "passes/rewriter.h"

namespace lazuli {

inline constexpr size_t kMaxInstructions = 48;
inline constexpr size_t kMaxOperands = 24;
inline constexpr size_t kMaxOutputs = 8;

/// True for an elementwise node that a program of floats and bools can hold.
bool is_chainable(const Rewriter& rw, int32_t n);

/// Nodes that run together, in topological order, over one iteration space.
struct Chain {
  std::vector<int32_t> nodes;
  int32_t reduction = -1;           ///< the node that folds the only result, if any
  std::vector<int32_t> recomputed;  ///< nodes of other chains that are computed again here
  int32_t level = 0;                ///< whole groups of one level do not depend on each other
  bool whole = true;                ///< false: a part of a group that was too large

  /// One op alone has a kernel of its own.
  bool is_program() const { return nodes.size() > 1 || (reduction >= 0 && !nodes.empty()); }
};

struct ChainGroups {
  std::vector<Chain> chains;
  std::vector<int32_t> chain_of;  ///< of each node, or -1
};

/// Groups of which no path leaves and comes back, so that running each at once leaves an order to run them in.
///
/// Every node gets a level that never falls along an edge and rises along every edge that is not joinable. Joinable edges inside one level
/// join their ends. A path that left a group and came back would have to stay in its level, over joinable edges only, so it never left. The
/// same holds for a cycle through several groups. Levels start as low as they can; then nodes move up to their users where that joins more.
ChainGroups group_chains(const Rewriter& rw);

}  // namespace lazuli
