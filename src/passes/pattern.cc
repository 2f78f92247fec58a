#include "passes/pattern.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <string>
#include <utility>

#include "lazuli/error.h"

namespace lazuli {

namespace {

bool commutes(Op op) { return op == Op::add || op == Op::mul || op == Op::maximum || op == Op::minimum; }

}  // namespace

Pattern::Pattern(std::string_view text) : rest_(text) {
  parse();
  if (!rest_.empty() || terms_[0].ops.empty() || terms_.size() > kMaxTerms)
    throw ValueError(fmt::format("pattern `{}`: an op with its operands is expected", text));
  for (Term& t : terms_) {
    bool fixed_order = t.ops.size() != 1 || !commutes(t.ops[0]) || t.operands.size() != 2;
    if (fixed_order) continue;
    // Ops first: they decide the order of the operands.
    if (terms_[t.operands[0]].ops.empty() && !terms_[t.operands[1]].ops.empty()) std::swap(t.operands[0], t.operands[1]);
  }
  for (size_t operand : terms_[0].operands) {
    OpSet& ops = operand_ops_.emplace_back();
    if (terms_[operand].ops.empty() && !terms_[operand].number) ops.set();
    if (terms_[operand].number) ops.set(static_cast<size_t>(Op::full));
    for (Op op : terms_[operand].ops) ops.set(static_cast<size_t>(op));
  }
}

bool Pattern::may_match(const ComputationGraph& g, const GraphNode& node) const {
  if (operand_ops_.empty()) return true;
  if (operand_ops_.size() != node.inputs.size()) return false;
  auto fits = [&](size_t operand, size_t input) { return operand_ops_[operand][static_cast<size_t>(g.node(node.inputs[input]).op)]; };
  size_t k = 0;
  while (k < node.inputs.size() && fits(k, k)) ++k;
  return k == node.inputs.size() || (k < 2 && node.inputs.size() == 2 && commutes(node.op) && fits(0, 1) && fits(1, 0));
}

std::string_view Pattern::word() {
  size_t n = 0;
  while (n < rest_.size() && (std::isalnum(static_cast<unsigned char>(rest_[n])) != 0 || rest_[n] == '_' || rest_[n] == '|')) ++n;
  std::string_view w = rest_.substr(0, n);
  rest_.remove_prefix(n);
  return w;
}

bool Pattern::accept(char c) {
  while (!rest_.empty() && rest_[0] == ' ') rest_.remove_prefix(1);
  if (rest_.empty() || rest_[0] != c) return false;
  rest_.remove_prefix(1);
  while (!rest_.empty() && rest_[0] == ' ') rest_.remove_prefix(1);
  return true;
}

int Pattern::name_index(std::string_view name) {
  auto at = std::find(names_.begin(), names_.end(), name);
  if (at == names_.end()) {
    if (names_.size() == kMaxNames) throw ValueError("pattern: too many names");
    at = names_.insert(names_.end(), name);
  }
  return static_cast<int>(at - names_.begin());
}

size_t Pattern::parse() {
  size_t index = terms_.size();
  if (!rest_.empty() && (std::isdigit(static_cast<unsigned char>(rest_[0])) != 0 || rest_[0] == '-')) {
    size_t n = std::min(rest_.find_first_of(",) "), rest_.size());
    Term& t = terms_.emplace_back();
    t.number = true;
    t.value = std::strtod(std::string(rest_.substr(0, n)).c_str(), nullptr);
    rest_.remove_prefix(n);
    return index;
  }
  std::string_view first = word();
  if (accept('=')) {
    int name = name_index(first);
    std::string_view op = word();
    if (!accept('(')) throw ValueError("pattern: operands are expected after `=`");
    return parse_call(op, name);
  }
  if (accept('(')) return parse_call(first, -1);
  Term& t = terms_.emplace_back();
  t.name = name_index(first);
  t.scalar = accept('[') && accept(']');
  return index;
}

size_t Pattern::parse_call(std::string_view op_names, int name) {
  size_t index = terms_.size();
  terms_.emplace_back().name = name;
  while (!op_names.empty()) {
    size_t bar = op_names.find('|');
    terms_[index].ops.push_back(parse_op(op_names.substr(0, bar)));
    op_names = bar == std::string_view::npos ? std::string_view() : op_names.substr(bar + 1);
  }
  if (accept('.')) {
    while (accept('.')) {
    }
    terms_[index].any_operands = true;
  } else {
    do {
      size_t operand = parse();
      terms_[index].operands.push_back(operand);
    } while (accept(','));
  }
  if (!accept(')')) throw ValueError("pattern: `)` is expected");
  return index;
}

Known known_value(const ComputationGraph& g, Value v) {
  const GraphNode& n = g.node(v);
  if (n.op != Op::full) return {};
  return {true, std::bit_cast<double>(n.attrs.i[0])};
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
  if (term.any_operands ? solve(goals) : solve_operands(term, node.inputs, goals)) return true;
  matched_count_ = before;
  return false;
}

bool Match::solve_operands(const Pattern::Term& term, const std::vector<Value>& operands, const Goals& goals) {
  size_t count = term.operands.size();
  if (operands.size() != count) return false;
  Goals next = goals;
  for (size_t k = count; k-- > 0;) next.push(term.operands[k], operands[k]);
  if (solve(next)) return true;
  if (count != 2 || operands[0] == operands[1] || !commutes(term.ops[0])) return false;
  next = goals;
  next.push(term.operands[1], operands[0]);
  next.push(term.operands[0], operands[1]);
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
  attrs.i[0] = static_cast<int64_t>(wanted);
  return rw.add(Op::cast, {v}, attrs);
}

Value Match::factor(double value, DType data) { return full(value, {data == DType::f64 ? DType::f64 : DType::f32, {}}); }

Value Match::full(double value, const TensorSpec& spec) {
  Attrs attrs;
  attrs.i[0] = std::bit_cast<int64_t>(value);
  return rw.add(Op::full, {}, attrs, &spec);
}

Value Match::reshape(Value v, const Shape& shape) {
  if (spec(v).shape == shape) return v;
  TensorSpec target{spec(v).dtype, shape};
  return rw.add(Op::reshape, {v}, {}, &target);
}

PatternPass::PatternPass(std::vector<PatternEntry> entries) : entries_(std::move(entries)) {
  for (const PatternEntry& e : entries_) {
    for (const Pattern& p : e.forms) {
      for (Op root : p.roots()) by_root_[static_cast<size_t>(root)].push_back({&e, &p});
    }
  }
}

int PatternPass::run(ComputationGraph& graph, PassContext& context) const {
  Rewriter rw(graph);
  int rewrites = 0;
  // Nodes that rewrites append are complete already.
  const size_t count = rw.size();
  for (size_t k = 0; k < count; ++k) {
    auto n = static_cast<int32_t>(k);
    if (rw.is_dead(n)) continue;
    rw.resolve_inputs(n);
    for (const Form& form : by_root_[static_cast<size_t>(rw.node(n).op)]) {
      if (!form.pattern->may_match(graph, rw.node(n))) continue;
      Match match(rw, context, form.entry->name);
      if (!match.apply(*form.pattern, n, form.entry->rewrite)) continue;
      ++rewrites;
      break;
    }
  }
  rw.finish();
  return rewrites;
}

}  // namespace lazuli
