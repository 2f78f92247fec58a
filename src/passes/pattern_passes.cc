#include <string_view>
#include <utility>

#include "autograd/recognise.h"
#include "passes/passes.h"
#include "passes/patterns/patterns.h"

namespace lazuli {

namespace {

using Table = std::vector<PatternEntry> (*)();

std::vector<PatternEntry> join(std::initializer_list<Table> tables) {
  std::vector<PatternEntry> all;
  for (Table table : tables) {
    for (PatternEntry& e : table()) all.push_back(std::move(e));
  }
  return all;
}

class Recognise final : public PatternPass {
 public:
  Recognise()
      : PatternPass(join(
            {patterns::activations, patterns::norms, patterns::softmax, patterns::attention, patterns::cross_entropy, patterns::lora})) {}
  std::string_view name() const override { return "recognise"; }
};

class Epilogues final : public PatternPass {
 public:
  Epilogues() : PatternPass(join({patterns::lora, patterns::linear, patterns::gated_linear, patterns::softmax_scale})) {}
  std::string_view name() const override { return "epilogues"; }
};

// Differentiation comes before the passes, so they offer it their search.
[[maybe_unused]] const bool registered = autograd::register_recogniser([](ComputationGraph& graph) {
  OptimizerReport report;
  static const GraphOptimizer optimizer = GraphOptimizer::recognition();
  optimizer.run(graph, &report);
  for (const PassReport& pass : report.passes) {
    if (pass.name == "recognise" && pass.rewrites > 0) return true;
  }
  return false;
});

}  // namespace

PatternPass::PatternPass(std::vector<PatternEntry> entries) : entries_(std::move(entries)) {
  for (const PatternEntry& e : entries_) {
    for (const Pattern& p : e.forms) {
      for (Op root : p.roots()) by_root_[static_cast<size_t>(root)].push_back({&e, &p});
    }
  }
}

std::vector<std::string_view> PatternPass::patterns() const {
  std::vector<std::string_view> names;
  for (const PatternEntry& e : entries_) names.push_back(e.name);
  return names;
}

int PatternPass::run(ComputationGraph& graph, PassContext& context) const {
  Rewriter rw(graph);
  int rewrites = 0;
  rw.visit_live([&](int32_t n) {
    for (const Form& form : by_root_[static_cast<size_t>(rw.node(n).op)]) {
      if (!form.pattern->may_match(graph, rw.node(n)) || !context.allows(form.entry->name)) continue;
      Match match(rw, context, form.entry->name);
      if (!match.apply(*form.pattern, n, form.entry->rewrite)) continue;
      ++rewrites;
      break;
    }
  });
  rw.finish();
  return rewrites;
}

std::shared_ptr<const FusionPass> make_recognise() {
  static const auto pass = std::make_shared<const Recognise>();
  return pass;
}

std::shared_ptr<const FusionPass> make_epilogues() {
  static const auto pass = std::make_shared<const Epilogues>();
  return pass;
}

}  // namespace lazuli
