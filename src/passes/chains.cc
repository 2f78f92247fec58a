#include <algorithm>
#include <string>
#include <utility>

#include "passes/chain_groups.h"
#include "passes/passes.h"

namespace lazuli {

namespace {

size_t index(int32_t n) { return static_cast<size_t>(n); }

bool can_end_chain(Op op) { return op == Op::sum || op == Op::mean || op == Op::max || op == Op::min; }

// Little arithmetic, and one operand that is read at every element.
bool is_cheap(const Rewriter& rw, int32_t n, Value& source) {
  const GraphNode& node = rw.node(n);
  switch (node.op) {
    case Op::cast:
    case Op::neg:
    case Op::abs:
    case Op::square:
    case Op::relu:
    case Op::logical_not:
    case Op::add:
    case Op::sub:
    case Op::mul:
      break;
    default:
      return false;
  }
  source = {};
  for (Value v : node.inputs) {
    if (rw.spec(v).shape.rank() == 0) continue;
    if (source.node >= 0) return false;
    source = v;
  }
  return source.node >= 0 && rw.spec(source).shape == node.outputs[0].shape && !is_chainable(rw, source.node) &&
         size_of(rw.spec(source).dtype) <= size_of(node.outputs[0].dtype);
}

class Builder {
 public:
  Builder(Rewriter& rw, PassContext& context) : rw_(rw), context_(context), groups_(group_chains(rw)), needed_(rw.size()) {}

  int run() {
    count_needs();
    choose_recomputed();
    choose_reductions();
    int made = 0;
    // Emission appends nodes, so the chains are fixed by now.
    for (const Chain& chain : groups_.chains) {
      if (!is_program(chain)) continue;
      emit(chain);
      ++made;
    }
    return made;
  }

 private:
  static bool is_program(const Chain& c) { return c.nodes.size() > 1 || (c.reduction >= 0 && !c.nodes.empty()); }
  Chain& chain_of(int32_t n) { return groups_.chains[index(groups_.chain_of[index(n)])]; }
  bool inside(const Chain& c, Value v) const {
    int32_t k = groups_.chain_of[index(v.node)];
    return k >= 0 && &groups_.chains[index(k)] == &c;
  }

  // Readers of each chained value outside its chain.
  void count_needs() {
    for (const Chain& c : groups_.chains) {
      for (int32_t n : c.nodes) needed_[index(n)] += rw_.uses({n, 0});
      for (int32_t n : c.nodes) {
        for (Value v : rw_.node(n).inputs) needed_[index(v.node)] -= inside(c, v) ? 1 : 0;
      }
    }
  }

  // A cheap value that only other chains read is computed again in each of them, which saves writing and reading it.
  void choose_recomputed() {
    std::vector<int32_t> chained_reads(groups_.chain_of.size());
    for_each_outside_read([&](Chain&, Value v) { ++chained_reads[index(v.node)]; });
    for_each_outside_read([&](Chain& c, Value v) {
      int32_t u = v.node;
      if (groups_.chain_of[index(u)] < 0 || chained_reads[index(u)] == 0) return;
      bool again = std::find(c.recomputed.begin(), c.recomputed.end(), u) != c.recomputed.end();
      if (!again) {
        if (chained_reads[index(u)] != needed_before(u)) return;
        Value source;
        bool same_space = rw_.spec(v).shape == rw_.node(c.nodes[0]).outputs[0].shape;
        bool room = c.nodes.size() + c.recomputed.size() < kMaxInstructions && c.recomputed.size() < kMaxOutputs;
        if (!same_space || !room || !is_cheap(rw_, u, source)) return;
        // Room for its operands is sure: one replaces it, and the rest have rank 0.
        if (distinct_operands(c) + rw_.node(u).inputs.size() > kMaxOperands) return;
        c.recomputed.push_back(u);
      }
      --needed_[index(u)];
      ++recomputed_reads_of(u);
    });
  }

  template <class F>
  void for_each_outside_read(F&& f) {
    for (Chain& c : groups_.chains) {
      if (c.nodes.size() < 2) continue;
      for (int32_t n : c.nodes) {
        for (Value v : rw_.node(n).inputs) {
          if (!inside(c, v)) f(c, v);
        }
      }
    }
  }
  int32_t& recomputed_reads_of(int32_t n) {
    if (recomputed_reads_.empty()) recomputed_reads_.resize(needed_.size());
    return recomputed_reads_[index(n)];
  }
  int32_t needed_before(int32_t n) { return needed_[index(n)] + recomputed_reads_of(n); }

  size_t distinct_operands(const Chain& c) const {
    std::vector<Value> seen;
    for (int32_t n : c.nodes) {
      for (Value v : rw_.node(n).inputs) {
        if (!inside(c, v) && std::find(seen.begin(), seen.end(), v) == seen.end()) seen.push_back(v);
      }
    }
    return seen.size() + 2 * c.recomputed.size();
  }

  void choose_reductions() {
    const auto count = static_cast<int32_t>(groups_.chain_of.size());
    for (int32_t r = 0; r < count; ++r) {
      const GraphNode& node = rw_.node(r);
      if (!can_end_chain(node.op) || node.attrs.i[0] == 0 || !is_float(node.outputs[0].dtype)) continue;
      Value v = node.inputs[0];
      if (groups_.chain_of[index(v.node)] < 0) continue;
      if (rw_.uses(v) != 1) {
        context_.refuse("ElementwiseChain", "the reduced value has another user", node);
        continue;
      }
      end_with(r, v.node);
    }
  }

  void end_with(int32_t reduction, int32_t last) {
    Chain& c = chain_of(last);
    bool only = std::all_of(c.nodes.begin(), c.nodes.end(), [&](int32_t n) { return n == last || needed_[index(n)] == 0; });
    if (only) {
      c.reduction = reduction;
      return;
    }
    // The last step leaves the chain when all it reads is written to memory anyway.
    const auto& operands = rw_.node(last).inputs;
    bool written = std::all_of(operands.begin(), operands.end(), [&](Value v) { return !inside(c, v) || needed_[index(v.node)] > 0; });
    if (!written) return context_.refuse("ElementwiseChain", "the chain before the reduction has other results", rw_.node(reduction));
    for (Value v : operands) needed_[index(v.node)] += inside(c, v) ? 1 : 0;
    c.nodes.erase(std::find(c.nodes.begin(), c.nodes.end(), last));
    groups_.chain_of[index(last)] = static_cast<int32_t>(groups_.chains.size());
    Chain ending{{last}, reduction, c.recomputed};
    groups_.chains.push_back(std::move(ending));
  }

  struct Program {
    std::shared_ptr<ElementwiseProgram> code = std::make_shared<ElementwiseProgram>();
    std::vector<Value> operands;
    std::vector<std::pair<int32_t, uint16_t>> computed;  // node, value number

    const uint16_t* find(int32_t n) const {
      for (const auto& [node, value] : computed) {
        if (node == n) return &value;
      }
      return nullptr;
    }
    void add_operand(Value v) {
      if (std::find(operands.begin(), operands.end(), v) == operands.end()) operands.push_back(v);
    }
    uint16_t number(Value v) const {
      if (const uint16_t* value = find(v.node)) return *value;
      return static_cast<uint16_t>(std::find(operands.begin(), operands.end(), v) - operands.begin());
    }
    void step(int32_t n, const GraphNode& node) {
      ElementwiseProgram::Instruction instruction{node.op, {0, 0, 0}, node.outputs[0].dtype};
      for (size_t k = 0; k < node.inputs.size(); ++k) instruction.operand[k] = number(node.inputs[k]);
      computed.emplace_back(n, static_cast<uint16_t>(operands.size() + code->code.size()));
      code->code.push_back(instruction);
    }
  };

  void emit(const Chain& chain) {
    Program p;
    std::vector<int32_t> steps;
    for (int32_t u : chain.recomputed) {
      // A chain that ends in u may have been emitted in its place, to be read like any other value.
      if (reads(chain, u) && rw_.node(u).op != Op::fused_elementwise) steps.push_back(u);
    }
    steps.insert(steps.end(), chain.nodes.begin(), chain.nodes.end());
    for (int32_t n : steps) {
      for (Value v : rw_.node(n).inputs) {
        if (std::find(steps.begin(), steps.end(), v.node) == steps.end()) p.add_operand(v);
      }
    }
    p.code->inputs = static_cast<uint16_t>(p.operands.size());
    for (int32_t n : steps) p.step(n, rw_.node(n));
    p.code->shape = rw_.node(chain.nodes[0]).outputs[0].shape;
    chain.reduction >= 0 ? finish_reduction(chain, std::move(p)) : finish_chain(chain, std::move(p));
  }

  bool reads(const Chain& chain, int32_t u) const {
    for (int32_t n : chain.nodes) {
      for (Value v : rw_.node(n).inputs) {
        if (v.node == u) return true;
      }
    }
    return false;
  }

  void finish_chain(const Chain& chain, Program p) {
    GraphNode fused;
    std::vector<int32_t> results;
    for (int32_t n : chain.nodes) {
      if (needed_[index(n)] == 0) continue;
      results.push_back(n);
      p.code->outputs.push_back(*p.find(n));
      fused.outputs.push_back(rw_.node(n).outputs[0]);
    }
    // Everything may have been recomputed elsewhere.
    if (results.empty()) return;
    int32_t last = chain.nodes.back();
    fused.where = rw_.node(last).where;
    complete(fused, std::move(p), "ElementwiseChain");
    // All operands come before the last node, so it can stay where it is.
    if (results.size() == 1 && results[0] == last) return rw_.become(last, std::move(fused));
    Value out = rw_.add(std::move(fused));
    for (int32_t n : results) {
      rw_.replace({n, 0}, out);
      ++out.out;
    }
  }

  void finish_reduction(const Chain& chain, Program p) {
    const GraphNode& reduction = rw_.node(chain.reduction);
    p.code->outputs = {p.number(reduction.inputs[0])};
    p.code->reduces = true;
    p.code->reduction = reduction.op;
    p.code->axes = reduction.attrs.i[0];
    p.code->keepdims = reduction.attrs.i[1] != 0;
    GraphNode fused;
    fused.outputs = reduction.outputs;
    fused.where = reduction.where;
    std::string label = "ElementwiseChain+" + std::string(name_of(reduction.op));
    complete(fused, std::move(p), std::move(label));
    rw_.become(chain.reduction, std::move(fused));
  }

  void complete(GraphNode& node, Program p, std::string label) {
    node.op = Op::fused_elementwise;
    node.inputs = std::move(p.operands);
    node.payload = std::move(p.code);
    node.label = std::move(label);
    // Emitted chains may have taken the place of operands by now.
    for (Value& v : node.inputs) v = rw_.resolve(v);
  }

  Rewriter& rw_;
  PassContext& context_;
  ChainGroups groups_;
  std::vector<int32_t> needed_;
  std::vector<int32_t> recomputed_reads_;
};

class Chains final : public FusionPass {
 public:
  std::string_view name() const override { return "chains"; }
  int run(ComputationGraph& graph, PassContext& context) const override {
    Rewriter rw(graph);
    int made = Builder(rw, context).run();
    rw.finish();
    return made;
  }
};

}  // namespace

std::shared_ptr<const FusionPass> make_chains() { return std::make_shared<Chains>(); }

}  // namespace lazuli
