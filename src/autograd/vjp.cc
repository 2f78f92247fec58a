// Implements vjp: one walk from the outputs back to the inputs, in an order where users come before their operands.
#include <fmt/format.h>

#include "autograd/recorded_graph.h"
#include "autograd/vjp_rules.h"
#include "lazuli/error.h"
#include "lazuli/transforms.h"

namespace lazuli {

namespace autograd {

// `none` marks an op without a derivative in the table; it is never called.
void vjp_rules::vjp_none(VjpContext&) {}

// A gradient that is zero for want of a rule would be a wrong one.
void vjp_rules::vjp_refused(VjpContext& c) { throw GraphError(fmt::format("[{}] there is no gradient through it", name_of(c.op))); }

VjpFn vjp_rule(Op op) {
  static constexpr VjpFn kRules[] = {
#define LAZULI_OP(name, min_inputs, max_inputs, outputs, cls, traits, infer, rule, kernel) vjp_rules::vjp_##rule,
#include "lazuli/ops.def"
  };
  const VjpFn rule = kRules[static_cast<size_t>(op)];
  return rule == vjp_rules::vjp_none ? nullptr : rule;
}

namespace {

/// The walk: which nodes lead to a wanted value, and the cotangents collected so far.
class Walk {
 public:
  Walk(std::span<const LazyTensor> outputs, std::span<const LazyTensor> inputs, const VjpOptions& options)
      : graph_(outputs, options.cut ? inputs : std::span<const LazyTensor>()),
        inputs_(inputs),
        options_(options),
        leads_(graph_.size()),
        cotangents_(graph_.size()) {
    for (const LazyTensor& x : inputs) {
      if (const size_t n = graph_.find(x); n < graph_.size()) leads_[n] = 1;
    }
    for (size_t n = 0; n < graph_.size(); ++n) {
      if (vjp_rule(graph_.node(n).op) == nullptr) continue;
      for (const RecordedValue v : graph_.operands(n)) leads_[n] |= carries(v);
    }
  }

  void seed(const LazyTensor& output, const LazyTensor& cotangent) {
    if (cotangent.defined() && is_float(output.dtype())) {
      accumulate({static_cast<uint32_t>(graph_.find(output)), output.out()}, cotangent);
    }
  }

  std::vector<LazyTensor> run() {
    for (size_t n = graph_.size(); n-- > 0;) {
      if (leads_[n] != 0 && !cotangents_[n].empty() && !graph_.operands(n).empty()) step(n);
    }
    std::vector<LazyTensor> grads;
    for (size_t k = 0; k < inputs_.size(); ++k) {
      const size_t n = graph_.find(inputs_[k]);
      const bool reached = n < graph_.size() && !cotangents_[n].empty();
      grads.push_back(reached ? cotangents_[n][inputs_[k].out()] : LazyTensor());
    }
    return grads;
  }

 private:
  uint8_t carries(RecordedValue v) const { return leads_[v.node] != 0 && is_float(graph_.node(v.node).dtype_of_output(v.out)); }

  void accumulate(RecordedValue v, const LazyTensor& gradient) {
    auto& slots = cotangents_[v.node];
    if (slots.empty()) slots.resize(graph_.node(v.node).n_outputs());
    slots[v.out] = sum_of(slots[v.out], gradient);
  }

  void step(size_t n) {
    const Node& node = graph_.node(n);
    const VjpFn rule = vjp_rule(node.op);
    if (rule == nullptr) return;
    std::vector<LazyTensor> inputs, outputs;
    std::vector<uint8_t> needed;
    for (const RecordedValue v : graph_.operands(n)) {
      inputs.push_back(graph_.handle(v));
      needed.push_back(carries(v));
    }
    for (uint32_t k = 0; k < node.n_outputs(); ++k) outputs.push_back(graph_.handle({static_cast<uint32_t>(n), k}));
    std::vector<LazyTensor> grads(inputs.size()), past(inputs_.size());
    VjpContext context{node.op, node.attrs, graph_.payload(n).get(), inputs, outputs, cotangents_[n], needed, grads,
                       inputs_, past,       options_.recognise};
    rule(context);
    for (size_t k = 0; k < past.size(); ++k) {
      if (const size_t to = graph_.find(inputs_[k]); past[k].defined() && to < n)
        accumulate({static_cast<uint32_t>(to), inputs_[k].out()}, past[k]);
    }
    for (size_t k = 0; k < grads.size(); ++k) {
      if (needed[k] == 0 || !grads[k].defined()) continue;
      if (!(grads[k].shape() == inputs[k].shape()) || grads[k].dtype() != inputs[k].dtype()) {
        throw GraphError(fmt::format("[{}] the gradient of operand {} is {} {}, {} {} is expected", name_of(node.op), k,
                                     name_of(grads[k].dtype()), to_string(grads[k].shape()), name_of(inputs[k].dtype()),
                                     to_string(inputs[k].shape())));
      }
      accumulate(graph_.operands(n)[k], grads[k]);
    }
  }

  RecordedGraph graph_;
  std::span<const LazyTensor> inputs_;
  VjpOptions options_;
  std::vector<uint8_t> leads_;                       ///< a wanted value is at or before the node
  std::vector<std::vector<LazyTensor>> cotangents_;  ///< of each output; empty until one arrives
};

}  // namespace

std::vector<LazyTensor> run_vjp(std::span<const LazyTensor> outputs, std::span<const LazyTensor> inputs,
                                std::span<const LazyTensor> cotangents, const VjpOptions& options) {
  Walk walk(outputs, inputs, options);
  for (size_t k = 0; k < outputs.size(); ++k) walk.seed(outputs[k], cotangents[k]);
  return walk.run();
}

}  // namespace autograd

std::vector<LazyTensor> vjp(std::span<const LazyTensor> outputs, std::span<const LazyTensor> inputs,
                            std::span<const LazyTensor> cotangents) {
  if (outputs.size() != cotangents.size()) {
    throw ValueError(fmt::format("vjp: {} outputs need as many cotangents, got {}", outputs.size(), cotangents.size()));
  }
  std::vector<LazyTensor> seeds(cotangents.begin(), cotangents.end());
  for (size_t k = 0; k < seeds.size(); ++k) {
    if (!seeds[k].defined()) continue;
    if (!(seeds[k].shape() == outputs[k].shape())) {
      throw ShapeError(
          fmt::format("vjp: cotangent {} has shape {}, its output {}", k, to_string(seeds[k].shape()), to_string(outputs[k].shape())));
    }
    seeds[k] = cast(seeds[k], outputs[k].dtype());
  }
  std::vector<LazyTensor> grads = autograd::run_vjp(outputs, inputs, seeds, {});
  for (size_t k = 0; k < grads.size(); ++k) {
    if (!grads[k].defined()) grads[k] = autograd::zeros_like(inputs[k]);
  }
  return grads;
}

}  // namespace lazuli
