// Defines what each chain stores, folds and computes again.
#pragma once

#include <vector>

#include "lazuli/optimizer.h"
#include "passes/chain_groups.h"

namespace lazuli {

struct ChainChoices {
  ChainGroups groups;
  std::vector<int32_t> needed;  ///< of each chained node, how many readers outside its chain read it from memory

  bool inside(const Chain& c, Value v) const {
    int32_t k = groups.chain_of[static_cast<size_t>(v.node)];
    return k >= 0 && &groups.chains[static_cast<size_t>(k)] == &c;
  }
};

/// Groups the graph's elementwise nodes, then
/// - computes cheap values again in the chains that read them, when that saves writing them,
/// - ends a chain in the reduction of its only result,
/// - joins chains that read the same memory and do not depend on each other.
ChainChoices choose_chains(const Rewriter& rw, PassContext& context);

}  // namespace lazuli
