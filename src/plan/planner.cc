#include "plan/planner.h"

#include <algorithm>

#include "graph/attrs.h"
#include "lazuli/error.h"
#include "lazuli/op.h"
#include "plan/schedule.h"
#include "plan/views.h"

namespace lazuli {

namespace {

int64_t byte_count(const TensorSpec& s) { return s.shape.numel() * static_cast<int64_t>(size_of(s.dtype)); }

}  // namespace

Planner::Planner(const ComputationGraph& graph, Device device, const Backend& backend, const std::vector<Strides>& input_strides)
    : graph_(graph), backend_(backend), input_strides_(input_strides) {
  plan_.device = device;
  plan_.input_count = graph.input_count;
  plan_.scalar_count = graph.scalar_count;
  plan_.optimised_nodes = graph.nodes.size();
  placed_.resize(graph.nodes.size());
  specs_.resize(graph.nodes.size());
  used_.resize(graph.nodes.size());
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    specs_[i] = graph.nodes[i].outputs;
    placed_[i].resize(specs_[i].size());
    used_[i].resize(specs_[i].size(), false);
  }
  for (const GraphNode& n : graph.nodes) {
    for (Value v : n.inputs) used_[static_cast<size_t>(v.node)][static_cast<size_t>(v.out)] = true;
  }
  for (Value v : graph.outputs) used_[static_cast<size_t>(v.node)][static_cast<size_t>(v.out)] = true;
}

Plan Planner::run() {
  // A graph that computes again does so to take less memory.
  const bool recomputes = std::any_of(graph_.nodes.begin(), graph_.nodes.end(), [](const GraphNode& n) { return n.op == Op::barrier; });
  for (int32_t node : schedule(graph_, recomputes)) {
    switch (info(graph_.nodes[static_cast<size_t>(node)].op).cls) {
      case OpClass::leaf:
        place_leaves(node);
        break;
      case OpClass::view:
        place_view(node);
        break;
      default:
        draft(node);
    }
  }
  copy_unowned_results();
  arrange();
  emit();
  return std::move(plan_);
}

int32_t Planner::root(int32_t s) const {
  while (parent_[static_cast<size_t>(s)] != s) s = parent_[static_cast<size_t>(s)];
  return s;
}

void Planner::merge(int32_t from, int32_t into) {
  from = root(from);
  into = root(into);
  if (from == into) return;
  Storage& a = storages_[static_cast<size_t>(into)];
  const Storage& b = storages_[static_cast<size_t>(from)];
  a.last_use = std::max(a.last_use, b.last_use);
  a.donor = a.donor >= 0 ? a.donor : b.donor;
  parent_[static_cast<size_t>(from)] = into;
}

Value Planner::new_value(const TensorSpec& s, int64_t bytes) {
  const auto node = static_cast<int32_t>(placed_.size());
  Placed p;
  p.storage = static_cast<int32_t>(storages_.size());
  p.strides = contiguous_strides(s.shape);
  Storage st;
  st.bytes = bytes;
  storages_.push_back(st);
  parent_.push_back(p.storage);
  placed_.push_back({p});
  specs_.push_back({s});
  used_.push_back({true});
  return {node, 0};
}

void Planner::place_leaves(int32_t node) {
  const GraphNode& n = graph_.nodes[static_cast<size_t>(node)];
  Placed& p = placed_[static_cast<size_t>(node)][0];
  p.storage = static_cast<int32_t>(storages_.size());
  p.strides = contiguous_strides(n.outputs[0].shape);
  Storage s;
  s.bytes = byte_count(n.outputs[0]);
  s.index = static_cast<int32_t>(n.attrs[attr::input::index]);
  if (n.op == Op::input) {
    s.kind = Storage::Kind::input;
    const auto index = static_cast<size_t>(s.index);
    if (index < input_strides_.size() && input_strides_[index].rank() == n.outputs[0].shape.rank() && n.outputs[0].shape.rank() > 0) {
      p.strides = input_strides_[index];
      p.contiguous = is_contiguous(n.outputs[0].shape, p.strides);
    }
    s.donated = n.attrs[attr::input::donated] != 0 && p.contiguous;
  } else if (n.op == Op::scalar) {
    s.kind = Storage::Kind::scalar;
  } else {
    s.kind = Storage::Kind::constant;
    s.index = static_cast<int32_t>(plan_.constants.size());
    plan_.constants.push_back(n.constant.contiguous().to(plan_.device));
  }
  storages_.push_back(s);
  parent_.push_back(p.storage);
}

void Planner::place_view(int32_t node) {
  const GraphNode& n = graph_.nodes[static_cast<size_t>(node)];
  if (n.op == Op::checkpoint) {
    for (size_t k = 0; k < n.outputs.size(); ++k) {
      placed_[static_cast<size_t>(node)][k] = placed(n.inputs[static_cast<size_t>(n.attrs[attr::checkpoint::arguments]) + k]);
    }
    return;
  }
  const Shape& from_shape = spec(n.inputs[0]).shape;
  const Shape& to_shape = n.outputs[0].shape;
  const Placed from = placed(n.inputs[0]);
  Placed to = from;
  switch (n.op) {
    case Op::reshape:
      place_reshape(node, from, to);
      break;
    case Op::expand:
      to.strides = expand_strides(from_shape, from.strides, to_shape);
      break;
    case Op::transpose:
      to.strides = permute_strides(from.strides, n.attrs[attr::transpose::axes]);
      break;
    case Op::slice: {
      int64_t start = 0;
      to.strides = slice_strides(from.strides, n.attrs.list.span(), &start);
      to.offset = from.offset + start * static_cast<int64_t>(size_of(n.outputs[0].dtype));
      break;
    }
    default:
      break;  // stop_gradient, barrier: the same elements
  }
  to.contiguous = is_contiguous(to_shape, to.strides);
  placed_[static_cast<size_t>(node)][0] = to;
}

void Planner::place_reshape(int32_t node, const Placed& from, Placed& to) {
  const GraphNode& n = graph_.nodes[static_cast<size_t>(node)];
  if (reshape_strides(spec(n.inputs[0]).shape, from.strides, n.outputs[0].shape, &to.strides)) return;
  const Placed copied = placed(contiguous(n.inputs[0]));
  to = copied;
  to.strides = contiguous_strides(n.outputs[0].shape);
}

OperandSpec Planner::operand(Value v) const {
  const TensorSpec& s = spec(v);
  const Placed& p = placed(v);
  return {s.dtype, s.shape, p.strides, p.contiguous, true};
}

Value Planner::contiguous(Value v) {
  if (placed(v).contiguous) return v;
  const TensorSpec s = spec(v);
  const Value copied = new_value(s, byte_count(s));
  draft_copy(v, copied);
  return copied;
}

void Planner::draft_copy(Value from, Value to) {
  static const GraphNode copy_node = [] {
    GraphNode n;
    n.op = Op::copy;
    return n;
  }();
  DraftStep step;
  step.node = &copy_node;
  step.inputs = {from};
  step.outputs = {to};
  const OperandSpec in = operand(from), out = operand(to);
  static const Attrs none;
  step.prepared = backend_.prepare({Op::copy, none, {&in, 1}, {&out, 1}, nullptr});
  steps_.push_back(std::move(step));
}

void Planner::draft_update(int32_t node) {
  // The kernel writes into operand 0's memory; share_in_place drops this copy where the operand dies.
  const GraphNode& n = graph_.nodes[static_cast<size_t>(node)];
  const Value out{node, 0};
  draft_copy(n.inputs[0], out);
  steps_.back().unless_donated_storage = placed(out).storage;
}

void Planner::draft(int32_t node) {
  const GraphNode& n = graph_.nodes[static_cast<size_t>(node)];
  DraftStep step;
  step.node = &n;
  step.inputs = n.inputs;
  std::vector<OperandSpec> outputs;
  for (size_t k = 0; k < n.outputs.size(); ++k) {
    const TensorSpec& s = n.outputs[k];
    const bool used = used_[static_cast<size_t>(node)][k];
    Placed& p = placed_[static_cast<size_t>(node)][k];
    p.strides = contiguous_strides(s.shape);
    outputs.push_back({s.dtype, s.shape, p.strides, true, used});
    if (!used) {
      step.outputs.push_back({-1, 0});
      continue;
    }
    p.storage = static_cast<int32_t>(storages_.size());
    Storage st;
    st.bytes = byte_count(s);
    storages_.push_back(st);
    parent_.push_back(p.storage);
    step.outputs.push_back({node, static_cast<int32_t>(k)});
  }
  if (has_trait(n.op, OpTrait::updates)) {
    draft_update(node);
    step.inputs[0] = {node, 0};
    step.updates_first_input = true;
  }
  for (int attempt = 0;; ++attempt) {
    std::vector<OperandSpec> inputs;
    for (Value v : step.inputs) inputs.push_back(operand(v));
    step.prepared = backend_.prepare({n.op, n.attrs, inputs, outputs, n.program()});
    if (!step.prepared.needs_copies() || attempt > 0) break;
    for (size_t k = 0; k < step.inputs.size(); ++k) {
      if (step.prepared.needs_copy(k)) step.inputs[k] = contiguous(step.inputs[k]);
    }
  }
  if (step.prepared.scratch_bytes > 0) {
    step.scratch_storage = static_cast<int32_t>(storages_.size());
    Storage st;
    st.bytes = static_cast<int64_t>(step.prepared.scratch_bytes);
    storages_.push_back(st);
    parent_.push_back(step.scratch_storage);
  }
  steps_.push_back(std::move(step));
}

void Planner::copy_unowned_results() {
  // The plan's constants and a run's scalars do not outlive their owners.
  results_ = graph_.outputs;
  for (Value& v : results_) {
    const Storage::Kind kind = storage(placed(v).storage).kind;
    if (kind != Storage::Kind::scalar && kind != Storage::Kind::constant) continue;
    const TensorSpec s = spec(v);
    const Value copied = new_value(s, byte_count(s));
    draft_copy(v, copied);
    v = copied;
  }
}

void Planner::mark_uses() {
  for (size_t i = 0; i < steps_.size(); ++i) {
    for (Value v : steps_[i].inputs) storage(placed(v).storage).last_use = static_cast<int32_t>(i);
  }
  for (Value v : results_) storage(placed(v).storage).last_use = INT32_MAX;
}

Plan make_plan(const ComputationGraph& graph, Device device, const std::vector<Strides>& input_strides) {
  return Planner(graph, device, backend_for(device), input_strides).run();
}

}  // namespace lazuli
