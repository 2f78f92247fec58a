#include "passes/chain_groups.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "lazuli/op.h"

namespace lazuli {

namespace {

bool in_program(DType t) { return is_float(t) || t == DType::boolean; }

class Grouping {
 public:
  explicit Grouping(const Rewriter& rw) : rw_(rw), count_(rw.size()), chainable_(count_), level_(count_), parent_(count_) {
    for (size_t n = 0; n < count_; ++n) {
      chainable_[n] = is_chainable(rw_, static_cast<int32_t>(n)) ? 1 : 0;
      parent_[n] = static_cast<int32_t>(n);
    }
  }

  ChainGroups run() {
    lowest_levels();
    raise_levels();
    join();
    return cut();
  }

 private:
  const std::vector<Value>& inputs(size_t n) const { return rw_.node(static_cast<int32_t>(n)).inputs; }
  const Shape& shape(size_t n) const { return rw_.node(static_cast<int32_t>(n)).outputs[0].shape; }
  // Who casts to fewer bits asks for the rounding, which steps of one program would leave out.
  bool rounds(size_t n) const {
    const GraphNode& node = rw_.node(static_cast<int32_t>(n));
    DType to = node.outputs[0].dtype;
    return node.op == Op::cast && is_float(to) && size_of(to) < size_of(rw_.spec(node.inputs[0]).dtype);
  }
  bool joinable(size_t from, size_t to) const {
    return chainable_[from] != 0 && chainable_[to] != 0 && shape(from) == shape(to) && !rounds(from);
  }

  void lowest_levels() {
    for (size_t n = 0; n < count_; ++n) {
      for (Value v : inputs(n)) {
        auto u = static_cast<size_t>(v.node);
        level_[n] = std::max(level_[n], level_[u] + (joinable(u, n) ? 0 : 1));
      }
    }
  }

  // Users first: a node moves up to the lowest of its users when that joins it to more of them than it is torn from.
  void raise_levels() {
    std::vector<int32_t> bound(count_, std::numeric_limits<int32_t>::max());
    std::vector<int32_t> gain(count_);
    for (size_t n = count_; n-- > 0;) {
      if (chainable_[n] != 0 && gain[n] > 0 && bound[n] > level_[n] && gain[n] >= losses(n)) level_[n] = bound[n];
      for (Value v : inputs(n)) {
        auto u = static_cast<size_t>(v.node);
        bool join = joinable(u, n);
        int32_t limit = level_[n] - (join ? 0 : 1);
        if (limit > bound[u]) continue;
        if (limit < bound[u]) gain[u] = 0;
        bound[u] = limit;
        gain[u] += join ? 1 : 0;
      }
    }
  }

  int32_t losses(size_t n) const {
    int32_t lost = 0;
    for (Value v : inputs(n)) {
      auto u = static_cast<size_t>(v.node);
      // A producer with other users may have to stay behind.
      if (joinable(u, n) && level_[u] == level_[n] && rw_.uses(v) > 1) ++lost;
    }
    return lost;
  }

  int32_t root(int32_t n) {
    while (parent_[static_cast<size_t>(n)] != n) {
      int32_t& p = parent_[static_cast<size_t>(n)];
      n = p = parent_[static_cast<size_t>(p)];
    }
    return n;
  }

  void join() {
    for (size_t n = 0; n < count_; ++n) {
      for (Value v : inputs(n)) {
        auto u = static_cast<size_t>(v.node);
        if (!joinable(u, n) || level_[u] != level_[n]) continue;
        int32_t a = root(v.node), b = root(static_cast<int32_t>(n));
        parent_[static_cast<size_t>(std::max(a, b))] = std::min(a, b);
      }
    }
  }

  // What an unfinished chain holds.
  struct Open {
    int32_t chain = -1;
    size_t results = 0;  // values that are not read up inside
    std::vector<Value> operands;
  };

  // A group that is too large is cut along the topological order, which keeps the parts in an order too.
  ChainGroups cut() {
    ChainGroups groups;
    groups.chain_of.assign(count_, -1);
    unread_.resize(count_);
    std::vector<int32_t> open_of(count_, -1);
    std::vector<Open> open;
    for (size_t n = 0; n < count_; ++n) {
      if (chainable_[n] == 0) continue;
      int32_t& slot = open_of[static_cast<size_t>(root(static_cast<int32_t>(n)))];
      if (slot < 0) {
        slot = static_cast<int32_t>(open.size());
        open.emplace_back();
      }
      place(groups, open[static_cast<size_t>(slot)], n);
    }
    return groups;
  }

  void place(ChainGroups& groups, Open& open, size_t n) {
    bool full = open.chain >= 0 && groups.chains[static_cast<size_t>(open.chain)].nodes.size() >= kMaxInstructions;
    if (open.chain < 0 || full || !fits(groups, open, n)) {
      bool first = open.chain < 0;
      if (!first) groups.chains[static_cast<size_t>(open.chain)].whole = false;
      open.chain = static_cast<int32_t>(groups.chains.size());
      open.results = 0;
      open.operands.clear();
      Chain& chain = groups.chains.emplace_back();
      chain.level = level_[n];
      chain.whole = first;
    }
    for (Value v : inputs(n)) {
      if (groups.chain_of[static_cast<size_t>(v.node)] == open.chain) {
        if (--unread_[static_cast<size_t>(v.node)] == 0) --open.results;
      } else if (std::find(open.operands.begin(), open.operands.end(), v) == open.operands.end()) {
        open.operands.push_back(v);
      }
    }
    unread_[n] = rw_.uses({static_cast<int32_t>(n), 0});
    ++open.results;
    groups.chain_of[n] = open.chain;
    groups.chains[static_cast<size_t>(open.chain)].nodes.push_back(static_cast<int32_t>(n));
  }

  bool fits(const ChainGroups& groups, const Open& open, size_t n) const {
    size_t operands = open.operands.size();
    size_t results = open.results + 1;
    const auto& in = inputs(n);
    for (size_t k = 0; k < in.size(); ++k) {
      if (std::find(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(k), in[k]) != in.begin() + static_cast<std::ptrdiff_t>(k))
        continue;
      if (groups.chain_of[static_cast<size_t>(in[k].node)] == open.chain) {
        auto reads = std::count(in.begin(), in.end(), in[k]);
        if (unread_[static_cast<size_t>(in[k].node)] == static_cast<int32_t>(reads)) --results;
      } else if (std::find(open.operands.begin(), open.operands.end(), in[k]) == open.operands.end()) {
        ++operands;
      }
    }
    return operands <= kMaxOperands && results <= kMaxOutputs;
  }

  const Rewriter& rw_;
  size_t count_;
  std::vector<uint8_t> chainable_;
  std::vector<int32_t> level_;
  std::vector<int32_t> parent_;
  std::vector<int32_t> unread_;
};

}  // namespace

bool is_chainable(const Rewriter& rw, int32_t n) {
  const GraphNode& node = rw.node(n);
  if (!is_elementwise(node.op) || node.op == Op::copy || !in_program(node.outputs[0].dtype)) return false;
  return std::all_of(node.inputs.begin(), node.inputs.end(), [&](Value v) {
    DType t = rw.spec(v).dtype;
    return in_program(t) || (node.op == Op::cast && t == DType::i32);
  });
}

ChainGroups group_chains(const Rewriter& rw) { return Grouping(rw).run(); }

}  // namespace lazuli
