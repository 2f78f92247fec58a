#include "passes/chain_choices.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "graph/attrs.h"

namespace lazuli {

namespace {

size_t index(int32_t n) { return static_cast<size_t>(n); }

template <class T>
bool contains(const std::vector<T>& list, const T& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

// The one operand that `n` reads at every element, when it is in memory in any case and no larger than the result.
Value only_source(const Rewriter& rw, int32_t n) {
  const GraphNode& node = rw.node(n);
  Value source;
  for (Value v : node.inputs) {
    if (rw.spec(v).shape.rank() == 0) continue;
    if (source.node >= 0) return {};
    source = v;
  }
  if (source.node < 0 || rw.spec(source).shape != node.outputs[0].shape || is_chainable(rw, source.node)) return {};
  return size_of(rw.spec(source).dtype) <= size_of(node.outputs[0].dtype) ? source : Value{};
}

class Chooser {
 public:
  Chooser(const Rewriter& rw, PassContext& context) : rw_(rw), context_(context), recomputed_reads_(rw.size()) {
    choices_.groups = group_chains(rw);
    choices_.needed.resize(rw.size());
  }

  ChainChoices run() {
    count_needs();
    choose_recomputed();
    choose_reductions();
    join_siblings();
    choose_recomputed();  // what stood alone may be in a chain now
    return std::move(choices_);
  }

 private:
  std::vector<Chain>& chains() { return choices_.groups.chains; }
  int32_t& chain_of(int32_t n) { return choices_.groups.chain_of[index(n)]; }
  int32_t& needed(int32_t n) { return choices_.needed[index(n)]; }
  bool inside(const Chain& c, Value v) const { return choices_.inside(c, v); }
  const Shape& space(const Chain& c) const { return rw_.node(c.nodes[0]).outputs[0].shape; }

  void count_needs() {
    for (const Chain& c : chains()) {
      for (int32_t n : c.nodes) needed(n) += rw_.uses({n, 0});
      for (int32_t n : c.nodes) {
        for (Value v : rw_.node(n).inputs) needed(v.node) -= inside(c, v) ? 1 : 0;
      }
    }
  }

  std::vector<Value> operands_of(const Chain& c) const {
    std::vector<Value> operands;
    for (int32_t n : c.nodes) {
      for (Value v : rw_.node(n).inputs) {
        if (!inside(c, v) && !contains(operands, v)) operands.push_back(v);
      }
    }
    return operands;
  }

  // A value that only chains read is computed again in each of them when that is cheap, or when they read all it takes already.
  void choose_recomputed() {
    std::vector<int32_t> chained_reads(choices_.needed.size());
    for (const Chain& c : chains()) {
      if (!c.is_program()) continue;
      for (int32_t n : c.nodes) {
        for (Value v : rw_.node(n).inputs) chained_reads[index(v.node)] += inside(c, v) ? 0 : 1;
      }
    }
    for (Chain& c : chains()) {
      if (!c.is_program()) continue;
      const size_t done = c.recomputed.size();
      for (int32_t n : c.nodes) {
        for (Value v : rw_.node(n).inputs) {
          int32_t u = v.node;
          if (inside(c, v) || chain_of(u) < 0) continue;
          auto at = std::find(c.recomputed.begin(), c.recomputed.end(), u);
          if (at < c.recomputed.begin() + static_cast<std::ptrdiff_t>(done)) continue;
          if (at == c.recomputed.end()) {
            if (chained_reads[index(u)] != needed(u) + recomputed_reads_[index(u)] || !may_recompute(c, u)) continue;
            c.recomputed.push_back(u);
          }
          --needed(u);
          ++recomputed_reads_[index(u)];
        }
      }
    }
  }

  bool may_recompute(const Chain& c, int32_t u) const {
    if (c.nodes.size() + c.recomputed.size() >= kMaxInstructions || c.recomputed.size() >= kMaxOutputs) return false;
    Value source = only_source(rw_, u);
    if (source.node < 0 || rw_.node(u).outputs[0].shape != space(c)) return false;
    std::vector<Value> operands = operands_of(c);
    // One operand replaces u, and each value computed again brings at most two of rank 0.
    if (operands.size() + 2 * c.recomputed.size() + rw_.node(u).inputs.size() > kMaxOperands) return false;
    return has_trait(rw_.node(u).op, OpTrait::cheap) || contains(operands, source);
  }

  void choose_reductions() {
    const auto count = static_cast<int32_t>(choices_.groups.chain_of.size());
    for (int32_t r = 0; r < count; ++r) {
      const GraphNode& node = rw_.node(r);
      if (!has_trait(node.op, OpTrait::ends_chain) || node.attrs[attr::sum::axes] == 0 || !is_float(node.outputs[0].dtype)) continue;
      Value v = node.inputs[0];
      if (chain_of(v.node) < 0) continue;
      if (rw_.uses(v) == 1) {
        end_with(r, v.node);
      } else {
        context_.refuse("ElementwiseChain", "the reduced value has another user", node);
      }
    }
  }

  void end_with(int32_t reduction, int32_t last) {
    Chain& c = chains()[index(chain_of(last))];
    bool only = std::all_of(c.nodes.begin(), c.nodes.end(), [&](int32_t n) { return n == last || needed(n) == 0; });
    if (only) {
      c.reduction = reduction;
      return;
    }
    // The last step leaves the chain when all it reads is written to memory anyway.
    const auto& operands = rw_.node(last).inputs;
    bool written = std::all_of(operands.begin(), operands.end(), [&](Value v) { return !inside(c, v) || needed(v.node) > 0; });
    if (!written) return context_.refuse("ElementwiseChain", "the chain before the reduction has other results", rw_.node(reduction));
    for (Value v : operands) needed(v.node) += inside(c, v) ? 1 : 0;
    c.nodes.erase(std::find(c.nodes.begin(), c.nodes.end(), last));
    Chain ending;
    ending.nodes = {last};
    ending.reduction = reduction;
    ending.recomputed = c.recomputed;
    ending.level = c.level;
    ending.whole = false;
    chain_of(last) = static_cast<int32_t>(chains().size());
    chains().push_back(std::move(ending));
  }

  struct Key {
    Value operand;
    int32_t level;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key& k) const {
      auto h = static_cast<uint64_t>(k.operand.node) << 32 ^ static_cast<uint64_t>(k.operand.out) << 24 ^ static_cast<uint64_t>(k.level);
      return static_cast<size_t>(h * 0x9e3779b97f4a7c15u >> 16);
    }
  };

  bool may_join(const Chain& c) const { return c.whole && c.reduction < 0 && !c.nodes.empty(); }

  // Chains that read one whole operand read it once together. A chain that ends in a reduction keeps to itself: it has room for one result.
  void join_siblings() {
    std::unordered_map<Key, int32_t, KeyHash> readers;
    for (size_t k = 0; k < chains().size(); ++k) {
      if (!may_join(chains()[k])) continue;
      std::vector<Value> operands = operands_of(chains()[k]);
      auto target = static_cast<int32_t>(k);
      for (Value v : operands) {
        if (rw_.uses(v) < 2 || rw_.spec(v).shape != space(chains()[k])) continue;
        auto found = readers.find({v, chains()[k].level});
        if (found == readers.end() || !fit(chains()[index(found->second)], chains()[k], operands)) continue;
        target = found->second;
        break;
      }
      if (target != static_cast<int32_t>(k)) join(target, chains()[k]);
      const Chain& joined = chains()[index(target)];
      for (Value v : operands) {
        if (rw_.uses(v) >= 2 && rw_.spec(v).shape == space(joined)) readers[{v, joined.level}] = target;
      }
    }
  }

  size_t results_of(const Chain& c) {
    return static_cast<size_t>(std::count_if(c.nodes.begin(), c.nodes.end(), [&](int32_t n) { return needed(n) > 0; }));
  }

  bool fit(const Chain& a, const Chain& b, const std::vector<Value>& operands_of_b) {
    if (a.nodes.size() + a.recomputed.size() + b.nodes.size() + b.recomputed.size() > kMaxInstructions) return false;
    if (results_of(a) + results_of(b) > kMaxOutputs || space(a) != space(b)) return false;
    std::vector<Value> operands = operands_of(a);
    for (Value v : operands_of_b) {
      if (!contains(operands, v)) operands.push_back(v);
    }
    return operands.size() + 2 * (a.recomputed.size() + b.recomputed.size()) <= kMaxOperands;
  }

  void join(int32_t target, Chain& c) {
    Chain& t = chains()[index(target)];
    for (int32_t n : c.nodes) chain_of(n) = target;
    t.nodes.insert(t.nodes.end(), c.nodes.begin(), c.nodes.end());
    std::sort(t.nodes.begin(), t.nodes.end());
    for (int32_t u : c.recomputed) {
      if (!contains(t.recomputed, u)) t.recomputed.push_back(u);
    }
    c.nodes.clear();  // which makes it no program
  }

  const Rewriter& rw_;
  PassContext& context_;
  ChainChoices choices_;
  std::vector<int32_t> recomputed_reads_;
};

}  // namespace

ChainChoices choose_chains(const Rewriter& rw, PassContext& context) { return Chooser(rw, context).run(); }

}  // namespace lazuli
