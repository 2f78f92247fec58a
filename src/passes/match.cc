// Finds patterns in graphs and edits what they found.
#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "graph/attrs.h"
#include "lazuli/error.h"
#include "lazuli/op.h"
#include "passes/pattern.h"

namespace lazuli {

Known known_value(const ComputationGraph& g, Value v) {
  const GraphNode& n = g.node(v);
  if (n.op != Op::full) return {};
  return {true, std::bit_cast<double>(n.attrs[attr::full::value])};
}

bool Match::apply(const Pattern& pattern, int32_t root, Rewrite rewrite) {
  pattern_ = &pattern;
  rewrite_ = rewrite;
  root_ = root;
  named_.fill({});
  matched_count_ = 0;
  reason_ = {};
  Goals goals;
  goals.push(0, Value{root, 0});
  if (solve(goals)) return true;
  if (!reason_.empty()) context_.refuse(name_, reason_, rw.node(root_));
  return false;
}

// Meets the last goal and then the rest; undoes its bindings when the rest cannot be met.
bool Match::solve(Goals goals) {
  if (goals.count == 0) return accept();
  Goal goal = goals.list[--goals.count];
  const Pattern::Term& term = pattern_->terms()[goal.term];
  if (term.number) {
    Known k = known_value(rw.graph(), goal.value);
    bool same = k.known && (k.value == term.value || std::abs(k.value - term.value) <= 1e-6 * std::abs(term.value));
    return same && solve(goals);
  }
  if (term.scalar && rw.spec(goal.value).shape.rank() != 0) return false;
  if (term.name < 0) return solve_term(term, goal.value, goals);
  Value& bound = named_[static_cast<size_t>(term.name)];
  Value before = bound;
  if (before.node >= 0 && before != goal.value) return false;
  bound = goal.value;
  if (solve_term(term, goal.value, goals)) return true;
  bound = before;
  return false;
}

bool Match::solve_term(const Pattern::Term& term, Value value, const Goals& goals) {
  if (term.ops.empty()) return solve(goals);
  const GraphNode& node = rw.node(value);
  if (std::find(term.ops.begin(), term.ops.end(), node.op) == term.ops.end()) return false;
  size_t before = matched_count_;
  matched_[matched_count_++] = value.node;
  if (term.any_operands ? solve(goals) : solve_operands(term, value, goals)) return true;
  matched_count_ = before;
  return false;
}

// The node is looked up after each try: a rewrite that was refused had added nodes, which may have moved all others.
bool Match::solve_operands(const Pattern::Term& term, Value value, const Goals& goals) {
  const auto operand = [&](size_t k) { return rw.node(value).inputs[k]; };
  size_t count = term.operands.size();
  if (rw.node(value).inputs.size() != count) return false;
  Goals next = goals;
  for (size_t k = count; k-- > 0;) next.push(term.operands[k], operand(k));
  if (solve(next)) return true;
  if (count != 2 || operand(0) == operand(1) || !has_trait(term.ops[0], OpTrait::commutes)) return false;
  next = goals;
  next.push(term.operands[1], operand(0));
  next.push(term.operands[0], operand(1));
  return solve(next);
}

bool Match::accept() {
  if (!closed()) return false;
  const size_t nodes = rw.size();
  if (rewrite_(*this)) return true;
  rw.drop_from(nodes);
  return false;
}

// An intermediate may be read by matched nodes only, or its value would have to be kept anyway.
bool Match::closed() {
  std::array<int32_t, Pattern::kMaxTerms> nodes = matched_;
  auto begin = nodes.begin();
  auto end = begin + static_cast<std::ptrdiff_t>(matched_count_);
  std::sort(begin, end);
  end = std::unique(begin, end);
  for (auto inner = begin; inner != end; ++inner) {
    if (*inner == root_) continue;
    int inside = 0;
    for (auto reader = begin; reader != end; ++reader) {
      for (Value v : rw.node(*reader).inputs) inside += v.node == *inner ? 1 : 0;
    }
    int all = 0;
    for (size_t k = 0; k < rw.node(*inner).outputs.size(); ++k) {
      Value v{*inner, static_cast<int32_t>(k)};
      if (rw.is_output(v)) return refuse("an intermediate is an output of the graph");
      all += rw.uses(v);
    }
    if (all != inside) return refuse("an intermediate has another user");
  }
  return true;
}

Value Match::operator()(std::string_view name) const {
  const auto& names = pattern_->names();
  auto at = std::find(names.begin(), names.end(), name);
  if (at == names.end()) return {};
  return named_[static_cast<size_t>(at - names.begin())];
}

bool Match::refuse(std::string_view reason) {
  reason_ = reason;
  return false;
}

bool Match::infer_node(Op op, std::vector<Value> inputs, Attrs attrs, std::string_view label, GraphNode& node) {
  std::vector<TensorSpec> operands;
  operands.reserve(inputs.size());
  for (Value v : inputs) operands.push_back(spec(v));
  try {
    node.outputs = infer(Operation{op, attrs, {}}, operands);
  } catch (const Error&) {
    return refuse("the operands do not fit the fused op");
  }
  node.op = op;
  node.attrs = std::move(attrs);
  node.inputs = std::move(inputs);
  node.label = label;
  node.where = root_node().where;
  return true;
}

Value Match::append(Op op, std::vector<Value> inputs, Attrs attrs, std::string_view label) {
  GraphNode node;
  if (!infer_node(op, std::move(inputs), std::move(attrs), label, node)) return {};
  return rw.add(std::move(node));
}

bool Match::become(Op op, std::vector<Value> inputs, Attrs attrs, std::string_view label) {
  GraphNode node;
  if (!infer_node(op, std::move(inputs), std::move(attrs), label, node)) return false;
  if (node.outputs != root_node().outputs) return refuse("dtype or shape of the result would change");
  rw.become(root_, std::move(node));
  return true;
}

Value Match::factor(Value v, DType data) {
  DType wanted = data == DType::f64 ? DType::f64 : DType::f32;
  if (spec(v).dtype == wanted) return v;
  if (Known k = known_value(rw.graph(), v); k.known) {
    return factor(Tensor::from_slice<double>(std::span(&k.value, 1), {}).to(spec(v).dtype).item(), data);
  }
  Attrs attrs;
  attrs[attr::cast::dtype] = static_cast<int64_t>(wanted);
  return rw.add(Op::cast, {v}, attrs);
}

Value Match::factor(double value, DType data) { return full(value, {data == DType::f64 ? DType::f64 : DType::f32, {}}); }

Value Match::full(double value, const TensorSpec& spec) {
  Attrs attrs;
  attrs[attr::full::value] = std::bit_cast<int64_t>(value);
  return rw.add(Op::full, {}, attrs, &spec);
}

Value Match::reshape(Value v, const Shape& shape) {
  if (spec(v).shape == shape) return v;
  TensorSpec target{spec(v).dtype, shape};
  return rw.add(Op::reshape, {v}, {}, &target);
}

}  // namespace lazuli
