#include "graph/operands.h"

#include <algorithm>
#include <vector>

#include "lazuli/op.h"

namespace lazuli {

namespace {

std::vector<std::string_view> split(std::string_view list) {
  std::vector<std::string_view> names;
  while (!list.empty()) {
    const size_t end = std::min(list.find(", "), list.size());
    names.push_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 2, list.size()));
  }
  return names;
}

}  // namespace

std::span<const std::string_view> operand_names(Op op) {
  static const auto of_op = [] {
    std::vector<std::vector<std::string_view>> all(static_cast<size_t>(kOpCount));
#define LAZULI_OPERANDS(op, ...) all[static_cast<size_t>(Op::op)] = split(#__VA_ARGS__);
#include "lazuli/ops.def"
    return all;
  }();
  return of_op[static_cast<size_t>(op)];
}

std::string_view operand_name(Op op, size_t k) {
  const auto names = operand_names(op);
  return names.empty() ? std::string_view() : names[std::min(k, names.size() - 1)];
}

}  // namespace lazuli
