#include "lazuli/optimizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <iterator>

#include "base/trace.h"
#include "lazuli/error.h"
#include "passes/passes.h"

namespace lazuli {

namespace {

int64_t now_ns() {
  auto since = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(since).count();
}

/// The names that `-name` entries, separated by commas, switch off.
std::vector<std::string_view> switched_off() {
  std::vector<std::string_view> names;
  const char* text = std::getenv("LAZULI_PASSES");
  if (text == nullptr) return names;
  std::string_view rest = text;
  while (!rest.empty()) {
    size_t comma = rest.find(',');
    std::string_view entry = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    if (entry.empty()) continue;
    if (entry[0] != '-') throw ValueError(fmt::format("LAZULI_PASSES: `{}`, expected entries like `-chains`", entry));
    names.push_back(entry.substr(1));
  }
  return names;
}

/// Fusions are named as reports list them or in lower case with underscores.
bool same_name(std::string_view a, std::string_view b) {
  const auto next = [](std::string_view& s) {
    while (!s.empty() && s[0] == '_') s.remove_prefix(1);
    if (s.empty()) return 0;
    const int c = std::tolower(static_cast<unsigned char>(s[0]));
    s.remove_prefix(1);
    return c;
  };
  while (true) {
    const int x = next(a), y = next(b);
    if (x != y) return false;
    if (x == 0) return true;
  }
}

class DeadCode final : public FusionPass {
 public:
  std::string_view name() const override { return "dead_code"; }
  int run(ComputationGraph& graph, PassContext&) const override {
    size_t before = graph.size();
    graph.compact();
    return static_cast<int>(before - graph.size());
  }
};

}  // namespace

std::shared_ptr<const FusionPass> make_dead_code() { return std::make_shared<DeadCode>(); }

void PassContext::refuse(std::string_view pattern, std::string_view reason, const GraphNode& node) {
  if (report == nullptr) return;
  ++report->refusals;
  if (report->refused.size() < kMaxRefusals) report->refused.push_back({pattern, reason, node.op, node.where});
}

bool PassContext::allows(std::string_view pattern) const { return std::find(off.begin(), off.end(), pattern) == off.end(); }

GraphOptimizer::GraphOptimizer() {
#ifdef NDEBUG
  verify_ = false;
#else
  verify_ = true;
#endif
}

GraphOptimizer GraphOptimizer::standard() {
  GraphOptimizer o;
  o.add(make_canonicalise());
  o.add(make_cse());
  o.add(make_fold());
  o.add(make_recognise());
  o.add(make_canonicalise());
  o.add(make_epilogues());
  o.add(make_cse());
  o.add(make_joins());
  o.add(make_chains());
  o.add(make_dead_code());
  for (std::string_view name : switched_off()) o.enable(name, false);
  return o;
}

GraphOptimizer GraphOptimizer::recognition() {
  GraphOptimizer o;
  o.add(make_canonicalise());
  o.add(make_cse());
  o.add(make_recognise());
  o.add(make_canonicalise());
  for (std::string_view name : switched_off()) o.try_enable(name, false);
  return o;
}

void GraphOptimizer::add(std::shared_ptr<const FusionPass> pass) { passes_.push_back({std::move(pass), true}); }

bool GraphOptimizer::try_enable(std::string_view name, bool on) {
  bool found = false;
  for (Entry& e : passes_) {
    if (e.pass->name() != name) continue;
    e.on = on;
    found = true;
  }
  for (std::string_view pattern : patterns()) {
    if (!same_name(pattern, name)) continue;
    off_.erase(std::remove(off_.begin(), off_.end(), pattern), off_.end());
    if (!on) off_.push_back(pattern);
    found = true;
  }
  return found;
}

void GraphOptimizer::enable(std::string_view name, bool on) {
  if (try_enable(name, on)) return;
  const auto known = names(), fusions = patterns();
  throw ValueError(fmt::format("optimizer: no pass `{}`, expected one of {}; or a fusion: {}", name,
                               fmt::join(known.begin(), known.end(), ", "), fmt::join(fusions.begin(), fusions.end(), ", ")));
}

std::vector<std::string_view> GraphOptimizer::names() const {
  std::vector<std::string_view> result;
  for (const Entry& e : passes_) result.push_back(e.pass->name());
  return result;
}

std::vector<std::string_view> GraphOptimizer::patterns() const {
  std::vector<std::string_view> result;
  for (const Entry& e : passes_) {
    for (std::string_view pattern : e.pass->patterns()) {
      if (std::find(result.begin(), result.end(), pattern) == result.end()) result.push_back(pattern);
    }
  }
  return result;
}

void GraphOptimizer::run(ComputationGraph& graph, OptimizerReport* report) const {
  OptimizerReport local;
  OptimizerReport& all = report != nullptr ? *report : local;
  all = {};
  all.passes.reserve(passes_.size());
  int64_t start = now_ns();
  all.nodes_before = graph.size();
  if (verify_) graph.verify();
  graph.compact();  // passes rely on the order
  for (const Entry& e : passes_) {
    PassReport& pass = all.passes.emplace_back();
    pass.name = e.pass->name();
    pass.nodes_before = pass.nodes_after = graph.size();
    if (!e.on) continue;
    pass.ran = true;
    PassContext context{fold_ ? &fold_ : nullptr, report != nullptr || observer_ ? &pass : nullptr, off_};
    int64_t begin = now_ns();
    {
      trace::Scope scope("pass", pass.name);
      pass.rewrites = e.pass->run(graph, context);
    }
    pass.ns = now_ns() - begin;
    pass.nodes_after = graph.size();
    if (observer_) observer_(pass, graph);
    if (!verify_) continue;
    try {
      graph.verify();
    } catch (const Error& error) {
      throw GraphError(fmt::format("after pass {}: {}", e.pass->name(), error.what()));
    }
  }
  all.nodes_after = graph.size();
  all.ns = now_ns() - start;
}

std::string OptimizerReport::to_text() const {
  fmt::memory_buffer out;
  auto to = std::back_inserter(out);
  for (const PassReport& p : passes) {
    fmt::format_to(to, "{:<14} {:>6} rewrites  {:>7} -> {:>7} nodes  {:>10} ns{}\n", p.name, p.rewrites, p.nodes_before, p.nodes_after,
                   p.ns, p.ran ? "" : "  (off)");
    for (const Refusal& r : p.refused) {
      fmt::format_to(to, "    {} at {}{}: {}\n", r.pattern, name_of(r.op),
                     r.where.file != nullptr ? fmt::format(" ({}:{})", r.where.file, r.where.line) : "", r.reason);
    }
    if (p.refusals > p.refused.size()) fmt::format_to(to, "    and {} more\n", p.refusals - p.refused.size());
  }
  fmt::format_to(to, "{} -> {} nodes in {} ns\n", nodes_before, nodes_after, ns);
  return fmt::to_string(out);
}

ComputationGraph recognise(const ComputationGraph& graph, OptimizerReport* report) {
  static const GraphOptimizer optimizer = GraphOptimizer::recognition();
  ComputationGraph result = graph;
  optimizer.run(result, report);
  return result;
}

}  // namespace lazuli
