// Nodes that are done in one pass over memory though none of them is the other's only reader: RoPE (Su et al. 2021) on q and k, a residual
// sum and its norm, the optimiser step of all parameters.
#include <algorithm>
#include <map>
#include <unordered_set>
#include <utility>

#include "graph/attrs.h"
#include "lazuli/op.h"
#include "passes/passes.h"
#include "passes/rewriter.h"

namespace lazuli {

namespace {

constexpr std::string_view kRope = "RoPEPair", kRmsNorm = "AddRMSNorm", kLayerNorm = "AddLayerNorm", kStep = "OptimizerStep";

/// Nodes that a search for a dependency between two nodes looks at before it gives up.
constexpr size_t kMostSearched = 1024;

/// One run over a graph.
class Joining {
 public:
  Joining(ComputationGraph& graph, PassContext& context) : rw_(graph), context_(context), given_(static_cast<int32_t>(rw_.size())) {}

  int run() {
    rw_.visit_live([&](int32_t n) {
      const Op op = rw_.node(n).op;
      if (op == Op::rope && context_.allows(kRope)) join_rope(n);
      if (op == Op::rms_norm && context_.allows(kRmsNorm)) join_norm(n, kRmsNorm);
      if (op == Op::layer_norm && context_.allows(kLayerNorm)) join_norm(n, kLayerNorm);
      if (op == Op::adamw && context_.allows(kStep)) steps_[numbers_of(n)].push_back(n);
    });
    for (const auto& [numbers, nodes] : steps_) join_steps(nodes);
    rw_.finish();
    return rewrites_;
  }

 private:
  /// What nodes must share to be joined.
  using Key = std::vector<int64_t>;
  static void add_to(Key& key, const std::vector<Value>& values) {
    for (Value v : values) key.insert(key.end(), {v.node, v.out});
  }
  /// Of an optimiser step: dtypes and numbers.
  Key numbers_of(int32_t n) const {
    const std::vector<Value>& inputs = rw_.node(n).inputs;
    Key key;
    for (size_t k = 0; k < 4; ++k) key.push_back(static_cast<int64_t>(rw_.spec(inputs[k]).dtype));
    add_to(key, {inputs.end() - 7, inputs.end()});
    return key;
  }

  /// Whether one of `values` depends on one of `targets`, which are sorted and of the given graph. True, too, when the search has looked at
  /// `most` nodes.
  bool depends(std::vector<Value> values, const std::vector<int32_t>& targets, size_t most) const {
    std::unordered_set<int32_t> seen;
    while (!values.empty()) {
      const int32_t n = rw_.resolve(values.back()).node;
      values.pop_back();
      if (std::binary_search(targets.begin(), targets.end(), n)) return true;
      // Given nodes depend on earlier ones; appended ones may depend on any.
      if ((n < targets.front() && n < given_) || !seen.insert(n).second) continue;
      if (seen.size() > most) return true;
      values.insert(values.end(), rw_.node(n).inputs.begin(), rw_.node(n).inputs.end());
    }
    return false;
  }

  void refuse(std::string_view pattern, std::string_view reason, int32_t n) { context_.refuse(pattern, reason, rw_.node(n)); }

  /// Appends a node in place of `root` and what else it computes.
  int32_t append(Op op, std::vector<Value> inputs, const Attrs& attrs, std::string_view label, int32_t root) {
    GraphNode node;
    std::vector<TensorSpec> operands;
    operands.reserve(inputs.size());
    for (Value& v : inputs) {
      v = rw_.resolve(v);
      operands.push_back(rw_.spec(v));
    }
    node.outputs = infer(Operation{op, attrs, {}}, operands);
    node.op = op;
    node.attrs = attrs;
    node.inputs = std::move(inputs);
    node.label = label;
    node.where = rw_.node(root).where;
    ++rewrites_;
    return rw_.add(std::move(node)).node;
  }

  void join_rope(int32_t n) {
    const GraphNode second = rw_.node(n);
    Key how{second.attrs[attr::rope::back]};
    add_to(how, {second.inputs.begin() + 1, second.inputs.end()});
    const auto [at, is_new] = ropes_.emplace(std::move(how), n);
    if (is_new) return;
    const int32_t first_node = std::exchange(at->second, n);
    const GraphNode first = rw_.node(first_node);
    if (first.outputs[0].dtype != second.outputs[0].dtype) return refuse(kRope, "q and k differ in dtype", n);
    if (depends({second.inputs[0]}, {first_node}, kMostSearched)) return refuse(kRope, "one may depend on the other", n);
    ropes_.erase(at);
    std::vector<Value> inputs{first.inputs[0]};
    inputs.insert(inputs.end(), second.inputs.begin(), second.inputs.end());
    const int32_t pair = append(Op::rope_pair, std::move(inputs), second.attrs, kRope, n);
    rw_.replace({first_node, 0}, {pair, 0});
    rw_.replace({n, 0}, {pair, 1});
  }

  void join_norm(int32_t n, std::string_view name) {
    const GraphNode norm = rw_.node(n);
    const Value sum = norm.inputs[0];
    const GraphNode& add = rw_.node(sum);
    if (add.op != Op::add) return;
    for (Value v : add.inputs) {
      if (rw_.spec(v) != add.outputs[0]) return refuse(name, "an operand of the sum is broadcast", n);
      if (is_elementwise(rw_.node(v).op) && rw_.uses(v) == 1) return refuse(name, "the sum ends an elementwise chain", n);
    }
    std::vector<Value> inputs = add.inputs;
    const std::vector<Value> others(norm.inputs.begin() + 1, norm.inputs.end());
    if (depends(others, {sum.node}, kMostSearched)) return refuse(name, "weight or eps may depend on the sum", n);
    inputs.insert(inputs.end(), others.begin(), others.end());
    const int32_t both = append(norm.op == Op::rms_norm ? Op::add_rms_norm : Op::add_layer_norm, std::move(inputs), {}, name, n);
    rw_.replace(sum, {both, 0});
    rw_.replace({n, 0}, {both, 1});
  }

  void join_steps(const std::vector<int32_t>& nodes) {
    if (nodes.size() < 2) return;
    const std::vector<Value> first = rw_.node(nodes[0]).inputs;
    const Value factor = first.back();
    if (rw_.node(factor).inputs.empty()) {
      return refuse(kStep, "no factor waits for all gradients, and each can be dropped after its own step", nodes[0]);
    }
    std::vector<Value> inputs, data;
    for (int32_t n : nodes) {
      const std::vector<Value>& own = rw_.node(n).inputs;
      inputs.insert(inputs.end(), own.begin(), own.end() - 7);
      data.insert(data.end(), own.begin(), own.end());
    }
    if (depends(data, nodes, rw_.size())) return refuse(kStep, "a step depends on another", nodes[0]);
    inputs.insert(inputs.end(), first.end() - 7, first.end());
    const int32_t all = append(Op::adamw, std::move(inputs), {}, kStep, nodes[0]);
    int32_t result = 0;
    for (int32_t n : nodes) {
      const auto results = static_cast<int32_t>(rw_.node(n).outputs.size());
      for (int32_t j = 0; j < results; ++j) rw_.replace({n, j}, {all, result++});
    }
  }

  Rewriter rw_;
  PassContext& context_;
  const int32_t given_;  ///< nodes that the graph came with
  int rewrites_ = 0;
  std::map<Key, int32_t> ropes_;  ///< by tables, offset and direction, the last one without a partner
  std::map<Key, std::vector<int32_t>> steps_;
};

class Joins final : public FusionPass {
 public:
  std::string_view name() const override { return "joins"; }
  std::vector<std::string_view> patterns() const override { return {kRope, kRmsNorm, kLayerNorm, kStep}; }
  int run(ComputationGraph& graph, PassContext& context) const override { return Joining(graph, context).run(); }
};

}  // namespace

std::shared_ptr<const FusionPass> make_joins() {
  static const auto pass = std::make_shared<const Joins>();
  return pass;
}

}  // namespace lazuli
