#include "passes/pattern.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <string>
#include <utility>

#include "lazuli/error.h"
#include "lazuli/op.h"

namespace lazuli {

Pattern::Pattern(std::string_view text) : rest_(text) {
  parse();
  if (!rest_.empty() || terms_[0].ops.empty() || terms_.size() > kMaxTerms)
    throw ValueError(fmt::format("pattern `{}`: an op with its operands is expected", text));
  for (Term& t : terms_) {
    bool fixed_order = t.ops.size() != 1 || !has_trait(t.ops[0], OpTrait::commutes) || t.operands.size() != 2;
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
  return k == node.inputs.size() || (k < 2 && node.inputs.size() == 2 && has_trait(node.op, OpTrait::commutes) && fits(0, 1) && fits(1, 0));
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

}  // namespace lazuli
