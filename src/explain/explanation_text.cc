// Writes an explanation as text and as JSON.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/json_writer.h"
#include "explain/explanation.h"

namespace lazuli {

namespace {

using Out = fmt::memory_buffer;

constexpr size_t kChangesShown = 8;

bool has_batches(WorkloadKind kind) { return kind == WorkloadKind::train || kind == WorkloadKind::embed; }
double mega(double v) { return v / 1e6; }

void pass_lines(Out& out, const Explanation& e) {
  auto to = std::back_inserter(out);
  fmt::format_to(to, "passes\n  {:<16} {:>8} {:>8} {:>9} {:>9}  ops\n", "", "nodes", "rewrites", "refusals", "ms");
  fmt::format_to(to, "  {:<16} {:>8}\n", "recorded", e.stages[0].graph.size());
  for (size_t k = 1; k < e.stages.size(); ++k) {
    const Stage& s = e.stages[k];
    std::string changes;
    const auto list = op_changes(e.stages[k - 1].graph, s.graph);
    for (size_t c = 0; c < std::min(list.size(), kChangesShown); ++c) {
      changes += fmt::format("{}{} {:+}", c == 0 ? "" : ", ", list[c].first, list[c].second);
    }
    if (list.size() > kChangesShown) changes += ", ...";
    fmt::format_to(to, "  {:<16} {:>8} {:>8} {:>9} {:>9.2f}  {}\n", s.name, s.graph.size(), s.report.rewrites, s.report.refusals,
                   mega(static_cast<double>(s.report.ns)), s.report.ran ? changes : "(off)");
  }
}

void fusion_lines(Out& out, const Explanation& e) {
  auto to = std::back_inserter(out);
  fmt::format_to(to, "\nfused\n");
  for (const auto& [name, count] : fused_counts(e.stages.back().graph)) fmt::format_to(to, "  {:>6} x {}\n", count, name);
  const std::vector<RefusalCount> refusals = refusal_counts(e);
  fmt::format_to(to, "\nrefused{}\n", refusals.empty() ? ": nothing" : "");
  for (const RefusalCount& r : refusals) {
    fmt::format_to(to, "  {:>6} x {} at {} ({}): {}\n", r.count, r.pattern, r.op, r.pass, r.reason);
  }
}

void kernel_lines(Out& out, const Explanation& e) {
  auto to = std::back_inserter(out);
  fmt::format_to(to, "\nkernels: {} steps in {} waves\n  {:<28} {:>6} {:>12} {:>12} {:>10}\n", e.plan.steps.size(), e.plan.waves.size(), "",
                 "count", "MB moved", "MFLOP", "~ms");
  KernelUse all;
  const auto line = [&](const KernelUse& k) {
    fmt::format_to(to, "  {:<28} {:>6} {:>12.2f} {:>12.2f} {:>10.3f}\n", k.name, k.count, mega(k.bytes), mega(k.flops), mega(k.cost_ns));
  };
  for (const KernelUse& k : kernel_uses(e.plan)) {
    line(k);
    all.count += k.count;
    all.bytes += k.bytes;
    all.flops += k.flops;
    all.cost_ns += k.cost_ns;
  }
  all.name = "together";
  line(all);
}

void memory_lines(Out& out, const MemoryUse& m) {
  const auto mb = [](uint64_t bytes) { return mega(static_cast<double>(bytes)); };
  fmt::format_to(std::back_inserter(out),
                 "\npredicted peak memory: {:.2f} MB\n  weights {:.2f}, arguments {:.2f}, workspace {:.2f}, results {:.2f}\n",
                 mb(m.total()), mb(m.weights), mb(m.arguments), mb(m.workspace), mb(m.results));
}

void write_passes(JsonWriter& w, const Explanation& e) {
  w.key("passes").begin_array();
  for (size_t k = 1; k < e.stages.size(); ++k) {
    const Stage& s = e.stages[k];
    w.begin_object().field("name", s.name).field("ran", s.report.ran).field("rewrites", s.report.rewrites);
    w.field("refusals", s.report.refusals).field("ns", s.report.ns);
    w.field("nodes_before", e.stages[k - 1].graph.size()).field("nodes_after", s.graph.size()).key("ops").begin_object();
    for (const auto& [op, change] : op_changes(e.stages[k - 1].graph, s.graph)) w.field(op, change);
    w.end_object().end_object();
  }
  w.end_array();
}

void write_fusions(JsonWriter& w, const Explanation& e) {
  w.key("fused").begin_object();
  for (const auto& [name, count] : fused_counts(e.stages.back().graph)) w.field(name, count);
  w.end_object().key("refused").begin_array();
  for (const RefusalCount& r : refusal_counts(e)) {
    w.begin_object().field("pass", r.pass).field("pattern", r.pattern).field("op", r.op).field("reason", r.reason);
    w.field("where", r.where).field("count", r.count).end_object();
  }
  w.end_array();
}

void write_kernels(JsonWriter& w, const Explanation& e) {
  w.key("kernels").begin_array();
  for (const KernelUse& k : kernel_uses(e.plan)) {
    w.begin_object().field("name", k.name).field("count", k.count).field("bytes", k.bytes).field("flops", k.flops);
    w.field("cost_ns", k.cost_ns).end_object();
  }
  w.end_array().key("steps").begin_array();
  for (size_t wave = 0; wave < e.plan.waves.size(); ++wave) {
    const Wave& at = e.plan.waves[wave];
    for (int32_t k = at.first; k < at.first + at.count; ++k) {
      const Step& s = e.plan.steps[static_cast<size_t>(k)];
      w.begin_object().field("wave", wave).field("kernel", kernel_name(s)).field("op", name_of(s.op)).field("what", s.description);
      w.field("not_run", s.unless_donated >= 0)
          .field("bytes", s.prepared.bytes)
          .field("flops", s.prepared.flops)
          .field("cost_ns", s.cost_ns);
      w.field("where", where_text(s.where)).end_object();
    }
  }
  w.end_array();
}

}  // namespace

std::string explanation_text(const Explanation& e) {
  Out out;
  const WorkloadOptions& o = e.workload.options;
  fmt::format_to(std::back_inserter(out), "{} of {}{} tokens: {} ({}, {}) on {}\n\n", name_of(o.kind),
                 has_batches(o.kind) ? fmt::format("{} x ", o.batch) : "", o.tokens, e.model, e.info.architecture, name_of(e.info.dtype),
                 to_string(e.plan.device));
  pass_lines(out, e);
  fusion_lines(out, e);
  kernel_lines(out, e);
  memory_lines(out, e.memory);
  return fmt::to_string(out);
}

std::string explanation_json(const Explanation& e, bool with_graphs) {
  const WorkloadOptions& o = e.workload.options;
  JsonWriter w;
  w.begin_object().field("mode", name_of(o.kind)).field("model", e.model).field("architecture", e.info.architecture);
  w.field("dtype", name_of(e.info.dtype)).field("device", to_string(e.plan.device)).field("tokens", o.tokens);
  w.field("batch", has_batches(o.kind) ? o.batch : 1).field("nodes_recorded", e.stages[0].graph.size());
  write_passes(w, e);
  write_fusions(w, e);
  write_kernels(w, e);
  w.key("memory").begin_object().field("weights", e.memory.weights).field("arguments", e.memory.arguments);
  w.field("workspace", e.memory.workspace).field("results", e.memory.results).field("total", e.memory.total()).end_object().end_object();
  std::string text = w.text();
  if (!with_graphs) return text;
  // The printer of graphs writes JSON of its own; a pass that changed nothing left the graph before it.
  text.back() = ',';
  text += "\"graphs\":[";
  for (size_t k = 0; k < e.stages.size(); ++k) {
    if (k > 0 && e.stages[k].report.rewrites == 0) continue;
    JsonWriter name;
    name.value(e.stages[k].name);
    text += fmt::format("{}{{\"name\":{},\"graph\":{}}}", k == 0 ? "" : ",", name.text(), e.stages[k].graph.to_json());
  }
  text += "]}";
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

}  // namespace lazuli
