#include <fmt/format.h>

#include <array>
#include <iterator>

#include "graph/attr_names.h"
#include "lazuli/graph.h"

namespace lazuli {

namespace {

using Out = fmt::memory_buffer;

std::string value_text(const ComputationGraph& g, Value v) {
  bool many = v.node >= 0 && static_cast<size_t>(v.node) < g.nodes.size() && g.node(v).outputs.size() > 1;
  return many ? fmt::format("%{}.{}", v.node, v.out) : fmt::format("%{}", v.node);
}

std::string program_text(const ElementwiseProgram& p) {
  std::string text;
  for (const auto& instruction : p.code) text += fmt::format("{}{}", text.empty() ? "" : " ", name_of(instruction.op));
  if (p.reduces) text += fmt::format(" {}", name_of(p.reduction));
  return text;
}

// `{transpose_b, axis=1}`, or nothing.
std::string attrs_text(const GraphNode& n) {
  std::string text;
  auto part = [&](const std::string& s) { text += (text.empty() ? "" : ", ") + s; };
  for (const auto& [name, value] : describe_attrs(n)) part(value.empty() ? name : name + "=" + value);
  if (const ElementwiseProgram* p = n.program()) part(program_text(*p));
  return text.empty() ? text : "{" + text + "}";
}

std::string outputs_text(const GraphNode& n) {
  std::string text;
  for (const TensorSpec& s : n.outputs) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name_of(s.dtype), to_string(s.shape));
  return text;
}

// Indexed by OpClass.
constexpr std::array<const char*, 15> kColours = {"white",      "gray90",    "gray80",    "khaki",     "khaki",
                                                  "khaki",      "lightcyan", "orange",    "salmon",    "plum",
                                                  "palegreen3", "palegreen", "lightblue", "lightpink", "gold"};
constexpr std::array<const char*, 15> kClassNames = {"leaf",   "source", "random", "unary", "binary",    "ternary",   "view", "reduction",
                                                     "matmul", "row",    "gather", "move",  "composite", "optimizer", "fused"};
static_assert(kColours.size() == static_cast<size_t>(OpClass::fused) + 1);

std::string escaped(std::string_view s) {
  std::string text;
  for (char c : s) {
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      text += fmt::format("\\u{:04x}", static_cast<int>(c));
    } else {
      text += c;
    }
  }
  return text;
}

void write_json_node(Out& out, const GraphNode& n, size_t index) {
  auto to = std::back_inserter(out);
  auto cls = kClassNames[static_cast<size_t>(info(n.op).cls)];
  fmt::format_to(to, "{{\"id\":{},\"op\":\"{}\",\"class\":\"{}\"", index, name_of(n.op), cls);
  if (!n.label.empty()) fmt::format_to(to, ",\"label\":\"{}\"", escaped(n.label));
  fmt::format_to(to, ",\"inputs\":[");
  for (size_t k = 0; k < n.inputs.size(); ++k) fmt::format_to(to, "{}[{},{}]", k == 0 ? "" : ",", n.inputs[k].node, n.inputs[k].out);
  fmt::format_to(to, "],\"outputs\":[");
  for (size_t k = 0; k < n.outputs.size(); ++k) {
    auto dims = n.outputs[k].shape.span();
    fmt::format_to(to, "{}{{\"dtype\":\"{}\",\"shape\":[{}]}}", k == 0 ? "" : ",", name_of(n.outputs[k].dtype),
                   fmt::join(dims.begin(), dims.end(), ","));
  }
  fmt::format_to(to, "],\"attrs\":{{");
  const char* separator = "";
  for (const auto& [name, value] : describe_attrs(n)) {
    fmt::format_to(to, "{}\"{}\":\"{}\"", separator, name, value.empty() ? "true" : escaped(value));
    separator = ",";
  }
  fmt::format_to(to, "}}");
  if (const ElementwiseProgram* p = n.program()) fmt::format_to(to, ",\"program\":\"{}\"", program_text(*p));
  if (n.where.file != nullptr) fmt::format_to(to, ",\"where\":\"{}:{}\"", escaped(n.where.file), n.where.line);
  fmt::format_to(to, "}}");
}

}  // namespace

std::string ComputationGraph::to_text() const {
  Out out;
  auto to = std::back_inserter(out);
  for (size_t n = 0; n < nodes.size(); ++n) {
    const GraphNode& node = nodes[n];
    fmt::format_to(to, "%{} = {}(", n, name_of(node.op));
    for (size_t k = 0; k < node.inputs.size(); ++k) fmt::format_to(to, "{}{}", k == 0 ? "" : ", ", value_text(*this, node.inputs[k]));
    std::string attrs = attrs_text(node);
    fmt::format_to(to, "){}{} : {}", attrs.empty() ? "" : " ", attrs, outputs_text(node));
    if (!node.label.empty()) fmt::format_to(to, "  {}", node.label);
    fmt::format_to(to, "\n");
  }
  fmt::format_to(to, "return");
  for (size_t k = 0; k < outputs.size(); ++k) fmt::format_to(to, "{}{}", k == 0 ? " " : ", ", value_text(*this, outputs[k]));
  fmt::format_to(to, "\n");
  return fmt::to_string(out);
}

std::string ComputationGraph::to_dot() const {
  Out out;
  auto to = std::back_inserter(out);
  fmt::format_to(to, "digraph lazuli {{\n  node [shape=box, style=filled, fontname=\"monospace\"];\n");
  for (size_t n = 0; n < nodes.size(); ++n) {
    const GraphNode& node = nodes[n];
    std::string title = fmt::format("{} %{}", node.label.empty() ? std::string(name_of(node.op)) : node.label, n);
    std::string attrs = attrs_text(node);
    fmt::format_to(to, "  n{} [fillcolor={}, label=\"{}{}{}\\n{}\"];\n", n, kColours[static_cast<size_t>(info(node.op).cls)],
                   escaped(title), attrs.empty() ? "" : "\\n", escaped(attrs), outputs_text(node));
    for (Value v : node.inputs) fmt::format_to(to, "  n{} -> n{};\n", v.node, n);
  }
  for (size_t k = 0; k < outputs.size(); ++k) {
    fmt::format_to(to, "  out{} [shape=ellipse, fillcolor=white, label=\"output {}\"];\n  n{} -> out{};\n", k, k, outputs[k].node, k);
  }
  fmt::format_to(to, "}}\n");
  return fmt::to_string(out);
}

std::string ComputationGraph::to_json() const {
  Out out;
  auto to = std::back_inserter(out);
  fmt::format_to(to, "{{\"inputs\":{},\"scalars\":{},\"nodes\":[", input_count, scalar_count);
  for (size_t n = 0; n < nodes.size(); ++n) {
    if (n > 0) fmt::format_to(to, ",\n");
    write_json_node(out, nodes[n], n);
  }
  fmt::format_to(to, "],\"outputs\":[");
  for (size_t k = 0; k < outputs.size(); ++k) fmt::format_to(to, "{}[{},{}]", k == 0 ? "" : ",", outputs[k].node, outputs[k].out);
  fmt::format_to(to, "]}}\n");
  return fmt::to_string(out);
}

}  // namespace lazuli
