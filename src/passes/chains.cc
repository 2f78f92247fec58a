#include <algorithm>
#include <string>
#include <utility>

#include "graph/attrs.h"
#include "lazuli/op.h"
#include "passes/chain_choices.h"
#include "passes/passes.h"

namespace lazuli {

namespace {

class Builder {
 public:
  Builder(Rewriter& rw, PassContext& context) : rw_(rw), choices_(choose_chains(rw, context)) {}

  int run() {
    int made = 0;
    for (const Chain& chain : choices_.groups.chains) {
      if (!chain.is_program()) continue;
      emit(chain);
      ++made;
    }
    return made;
  }

 private:
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
      if (choices_.needed[static_cast<size_t>(n)] == 0) continue;
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
    p.code->axes = reduction.attrs[attr::sum::axes];
    p.code->keepdims = reduction.attrs[attr::sum::keepdims] != 0;
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
  ChainChoices choices_;
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
