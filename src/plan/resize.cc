// Fits an optimised graph to other sizes, and says where two graphs differ.
#include <fmt/format.h>

#include <unordered_map>

#include "plan/plan_cache.h"

namespace lazuli {

ComputationGraph rename_dims(const ComputationGraph& graph, const std::vector<int64_t>& from, std::span<const int64_t> to) {
  std::unordered_map<int64_t, int64_t> names;
  for (size_t k = 0; k < from.size(); ++k) names.emplace(from[k], to[k]);
  auto rename = [&](Shape& shape) {
    for (int i = 0; i < shape.rank(); ++i) {
      auto it = names.find(shape[i]);
      if (it != names.end()) shape[i] = it->second;
    }
  };
  ComputationGraph out = graph;
  for (GraphNode& n : out.nodes) {
    for (TensorSpec& s : n.outputs) rename(s.shape);
    if (const ElementwiseProgram* program = n.program()) {
      auto renamed = std::make_shared<ElementwiseProgram>(*program);
      rename(renamed->shape);
      n.payload = std::move(renamed);
    }
  }
  return out;
}

namespace {

std::string node_name(const GraphNode& n, size_t index) { return fmt::format("node {} ({})", index, name_of(n.op)); }

std::string spec_difference(const GraphNode& a, const GraphNode& b, const std::string& name) {
  for (size_t k = 0; k < a.outputs.size(); ++k) {
    const TensorSpec &x = a.outputs[k], &y = b.outputs[k];
    if (x.dtype != y.dtype) return fmt::format("dtype of {}: {}, was {}", name, name_of(y.dtype), name_of(x.dtype));
    if (x.shape.rank() != y.shape.rank()) return fmt::format("rank of {}: {}, was {}", name, y.shape.rank(), x.shape.rank());
    for (int d = 0; d < x.shape.rank(); ++d) {
      if (x.shape[d] != y.shape[d]) return fmt::format("dimension {} of {}: {}, was {}", d, name, y.shape[d], x.shape[d]);
    }
  }
  return {};
}

}  // namespace

std::string first_difference(const ComputationGraph& before, const ComputationGraph& now) {
  for (size_t i = 0; i < before.nodes.size() && i < now.nodes.size(); ++i) {
    const GraphNode &a = before.nodes[i], &b = now.nodes[i];
    const std::string name = node_name(b, i);
    if (a.op != b.op) return fmt::format("op of node {}: {}, was {}", i, name_of(b.op), name_of(a.op));
    for (size_t k = 0; k < a.attrs.i.size(); ++k) {
      if (a.attrs.i[k] != b.attrs.i[k]) return fmt::format("attribute {} of {}: {}, was {}", k, name, b.attrs.i[k], a.attrs.i[k]);
    }
    if (!(a.attrs.list == b.attrs.list)) return fmt::format("list attribute of {}", name);
    if (a.inputs != b.inputs) return fmt::format("operands of {}", name);
    if (a.outputs.size() != b.outputs.size()) return fmt::format("number of results of {}", name);
    if (std::string text = spec_difference(a, b, name); !text.empty()) return text;
  }
  if (before.nodes.size() != now.nodes.size()) return fmt::format("number of nodes: {}, was {}", now.nodes.size(), before.nodes.size());
  if (before.outputs != now.outputs) return "which values are asked for";
  return "strides of an input";
}

}  // namespace lazuli
