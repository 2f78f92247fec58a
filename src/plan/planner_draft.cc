// The first stage of planning: an order of the nodes, where their values lie, and a prepared kernel for each.
#include <algorithm>
#include <utility>

#include "graph/attrs.h"
#include "lazuli/op.h"
#include "plan/planner.h"
#include "plan/schedule.h"
#include "plan/views.h"

namespace lazuli {

namespace {

int64_t byte_count(const TensorSpec& s) { return s.shape.numel() * static_cast<int64_t>(size_of(s.dtype)); }

/// By node and output: somebody reads it.
using Used = std::vector<std::vector<bool>>;

Used used_values(const ComputationGraph& graph) {
  Used used(graph.nodes.size());
  for (size_t i = 0; i < graph.nodes.size(); ++i) used[i].resize(graph.nodes[i].outputs.size(), false);
  for (const GraphNode& n : graph.nodes) {
    for (Value v : n.inputs) used[static_cast<size_t>(v.node)][static_cast<size_t>(v.out)] = true;
  }
  for (Value v : graph.outputs) used[static_cast<size_t>(v.node)][static_cast<size_t>(v.out)] = true;
  return used;
}

/// With room for the values of the graph, of which none is placed.
PlanDraft draft_for(const ComputationGraph& graph, Device device, const Backend& backend) {
  PlanDraft draft(backend);
  draft.plan.device = device;
  draft.plan.input_count = graph.input_count;
  draft.plan.scalar_count = graph.scalar_count;
  draft.plan.optimised_nodes = graph.nodes.size();
  draft.placed.resize(graph.nodes.size());
  draft.specs.resize(graph.nodes.size());
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    draft.specs[i] = graph.nodes[i].outputs;
    draft.placed[i].resize(draft.specs[i].size());
  }
  return draft;
}

void place_leaf(PlanDraft& draft, const GraphNode& n, Placed& p, const std::vector<Strides>& input_strides) {
  p.strides = contiguous_strides(n.outputs[0].shape);
  Storage s;
  s.bytes = byte_count(n.outputs[0]);
  s.index = static_cast<int32_t>(n.attrs[attr::input::index]);
  if (n.op == Op::input) {
    s.kind = Storage::Kind::input;
    const auto index = static_cast<size_t>(s.index);
    if (index < input_strides.size() && input_strides[index].rank() == n.outputs[0].shape.rank() && n.outputs[0].shape.rank() > 0) {
      p.strides = input_strides[index];
      p.contiguous = is_contiguous(n.outputs[0].shape, p.strides);
    }
    s.donated = n.attrs[attr::input::donated] != 0 && p.contiguous;
  } else if (n.op == Op::scalar) {
    s.kind = Storage::Kind::scalar;
  } else {
    s.kind = Storage::Kind::constant;
    s.index = static_cast<int32_t>(draft.plan.constants.size());
    draft.plan.constants.push_back(n.constant.contiguous().to(draft.plan.device));
  }
  p.storage = draft.memory.add(s);
}

OperandSpec operand(const PlanDraft& draft, Value v) {
  const TensorSpec& s = draft.spec(v);
  const Placed& p = draft.at(v);
  return {s.dtype, s.shape, p.strides, p.contiguous, true};
}

void draft_copy(PlanDraft& draft, Value from, Value to) {
  static const GraphNode copy_node = [] {
    GraphNode n;
    n.op = Op::copy;
    return n;
  }();
  DraftStep step;
  step.node = &copy_node;
  step.inputs = {from};
  step.outputs = {to};
  const OperandSpec in = operand(draft, from), out = operand(draft, to);
  static const Attrs none;
  step.prepared = draft.backend.prepare({Op::copy, none, {&in, 1}, {&out, 1}, nullptr});
  draft.steps.push_back(std::move(step));
}

/// A row-major copy in memory of its own.
Value copied(PlanDraft& draft, Value v) {
  const TensorSpec s = draft.spec(v);
  Placed p;
  p.storage = draft.memory.add(byte_count(s));
  p.strides = contiguous_strides(s.shape);
  const Value copy{static_cast<int32_t>(draft.placed.size()), 0};
  draft.placed.push_back({p});
  draft.specs.push_back({s});
  draft_copy(draft, v, copy);
  return copy;
}

Value contiguous(PlanDraft& draft, Value v) { return draft.at(v).contiguous ? v : copied(draft, v); }

Placed reshaped(PlanDraft& draft, const GraphNode& n) {
  Placed to = draft.at(n.inputs[0]);
  const Strides from = to.strides;
  if (reshape_strides(draft.spec(n.inputs[0]).shape, from, n.outputs[0].shape, &to.strides)) return to;
  to = draft.at(contiguous(draft, n.inputs[0]));
  to.strides = contiguous_strides(n.outputs[0].shape);
  return to;
}

void place_view(PlanDraft& draft, const ComputationGraph& graph, int32_t node) {
  const GraphNode& n = graph.nodes[static_cast<size_t>(node)];
  if (n.op == Op::checkpoint) {
    for (size_t k = 0; k < n.outputs.size(); ++k) {
      draft.placed[static_cast<size_t>(node)][k] = draft.at(n.inputs[static_cast<size_t>(n.attrs[attr::checkpoint::arguments]) + k]);
    }
    return;
  }
  const Shape& from_shape = draft.spec(n.inputs[0]).shape;
  const Shape& to_shape = n.outputs[0].shape;
  Placed to = draft.at(n.inputs[0]);
  const Strides from = to.strides;
  switch (n.op) {
    case Op::reshape:
      to = reshaped(draft, n);
      break;
    case Op::expand:
      to.strides = expand_strides(from_shape, from, to_shape);
      break;
    case Op::transpose:
      to.strides = permute_strides(from, n.attrs[attr::transpose::axes]);
      break;
    case Op::slice: {
      int64_t start = 0;
      to.strides = slice_strides(from, n.attrs.list.span(), &start);
      to.offset += start * static_cast<int64_t>(size_of(n.outputs[0].dtype));
      break;
    }
    default:
      break;  // stop_gradient, barrier: the same elements
  }
  to.contiguous = is_contiguous(to_shape, to.strides);
  draft.placed[static_cast<size_t>(node)][0] = to;
}

/// Room for those results of a node that somebody reads, and all of them as its kernel sees them.
std::vector<OperandSpec> place_outputs(PlanDraft& draft, int32_t node, const std::vector<bool>& used, DraftStep& step) {
  std::vector<OperandSpec> outputs;
  for (size_t k = 0; k < step.node->outputs.size(); ++k) {
    const TensorSpec& s = step.node->outputs[k];
    Placed& p = draft.placed[static_cast<size_t>(node)][k];
    p.strides = contiguous_strides(s.shape);
    outputs.push_back({s.dtype, s.shape, p.strides, true, used[k]});
    if (used[k]) p.storage = draft.memory.add(byte_count(s));
    step.outputs.push_back(used[k] ? Value{node, static_cast<int32_t>(k)} : Value{-1, 0});
  }
  return outputs;
}

/// The kernel writes into operand 0's memory; sharing of memory drops this copy where the operand dies.
void draft_update(PlanDraft& draft, int32_t node, DraftStep& step) {
  const Value out{node, 0};
  draft_copy(draft, step.node->inputs[0], out);
  draft.steps.back().unless_donated_storage = draft.at(out).storage;
  step.inputs[0] = out;
  step.updates_first_input = true;
}

/// The node's kernel, after copies of those operands whose strides it cannot read.
void draft_kernel(PlanDraft& draft, const ComputationGraph& graph, int32_t node, const std::vector<bool>& used) {
  const GraphNode& n = graph.nodes[static_cast<size_t>(node)];
  DraftStep step;
  step.node = &n;
  step.inputs = n.inputs;
  const std::vector<OperandSpec> outputs = place_outputs(draft, node, used, step);
  if (has_trait(n.op, OpTrait::updates)) draft_update(draft, node, step);
  for (int attempt = 0;; ++attempt) {
    std::vector<OperandSpec> inputs;
    for (Value v : step.inputs) inputs.push_back(operand(draft, v));
    step.prepared = draft.backend.prepare({n.op, n.attrs, inputs, outputs, n.program()});
    if (!step.prepared.needs_copies() || attempt > 0) break;
    for (size_t k = 0; k < step.inputs.size(); ++k) {
      if (step.prepared.needs_copy(k)) step.inputs[k] = contiguous(draft, step.inputs[k]);
    }
  }
  if (step.prepared.scratch_bytes > 0) step.scratch_storage = draft.memory.add(static_cast<int64_t>(step.prepared.scratch_bytes));
  draft.steps.push_back(std::move(step));
}

/// The plan's constants and a run's scalars do not outlive their owners.
void copy_unowned_results(PlanDraft& draft) {
  for (Value& v : draft.results) {
    const Storage::Kind kind = draft.storage(v).kind;
    if (kind == Storage::Kind::scalar || kind == Storage::Kind::constant) v = copied(draft, v);
  }
}

}  // namespace

PlanDraft draft_steps(const ComputationGraph& graph, Device device, const Backend& backend, const std::vector<Strides>& input_strides) {
  PlanDraft draft = draft_for(graph, device, backend);
  const Used used = used_values(graph);
  // A graph that computes again does so to take less memory.
  const bool recomputes = std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const GraphNode& n) { return n.op == Op::barrier; });
  for (const int32_t node : schedule(graph, recomputes)) {
    const auto k = static_cast<size_t>(node);
    switch (info(graph.nodes[k].op).cls) {
      case OpClass::leaf:
        place_leaf(draft, graph.nodes[k], draft.placed[k][0], input_strides);
        break;
      case OpClass::view:
        place_view(draft, graph, node);
        break;
      default:
        draft_kernel(draft, graph, node, used[k]);
    }
  }
  draft.results = graph.outputs;
  copy_unowned_results(draft);
  return draft;
}

}  // namespace lazuli
