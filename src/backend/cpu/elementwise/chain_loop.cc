#include "backend/cpu/elementwise/chain_loop.h"

#include <hwy/cache_control.h>

#include "backend/cpu/common/thresholds.h"

namespace lazuli::cpu {

namespace {

struct ChainLoop {
  Chain chain;
  int64_t chunk;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    float** slots = chain.bind(args);
    const int64_t last = std::min(end * chunk, chain.numel());
    for (int64_t at = begin * chunk; at < last;) {
      const int64_t n = chain.tile_at(at, last - at);
      chain.run(slots, args, at, n);
      at += n;
    }
    if (chain.streams()) hwy::FlushStream();
  }
};

}  // namespace

PreparedOp prepare_chain_loop(const KernelRequest& request, const ChainSource& source) {
  ChainLoop loop{Chain::compile(source), 8 * kTile};
  const int64_t cost = loop.chain.cost();
  if (cost >= threshold::elementwise::kSomeSteps) loop.chunk = cost >= threshold::elementwise::kManySteps ? kTile : 4 * kTile;
  const int64_t tasks = tasks_for(loop.chain.numel(), loop.chunk);
  const size_t scratch = loop.chain.scratch_bytes();
  std::vector<int> in_place = loop.chain.in_place();
  PreparedOp op = make_op(request, name_of(request.op).data(), std::move(loop), tasks);
  op.flops = static_cast<double>(cost) * static_cast<double>(source.space.numel());
  op.thread_scratch_bytes = scratch;
  op.in_place = std::move(in_place);
  return op;
}

}  // namespace lazuli::cpu
