// Implements the table of ops: their names and counts, and the dispatch to shape rules.
#include <fmt/format.h>

#include <unordered_map>

#include "graph/shape_rules.h"
#include "lazuli/error.h"
#include "lazuli/op.h"

namespace lazuli {

namespace {

/// Has the names of traits at hand.
struct OpInfos : OpTrait {
  static constexpr OpInfo kAll[] = {
#define LAZULI_OP(name, min_inputs, max_inputs, outputs, cls, traits, rule, vjp, kernel) \
  {#name, min_inputs, max_inputs, outputs, OpClass::cls, traits},
#include "lazuli/ops.def"
  };
};

using InferFn = shape_rules::Specs (*)(const shape_rules::Request&);
constexpr InferFn kInfer[] = {
#define LAZULI_OP(name, min_inputs, max_inputs, outputs, cls, traits, rule, vjp, kernel) shape_rules::infer_##rule,
#include "lazuli/ops.def"
};

std::string expected_count(const OpInfo& op) {
  if (op.max_inputs < 0) return fmt::format("at least {}", op.min_inputs);
  if (op.max_inputs == op.min_inputs) return fmt::format("{}", op.min_inputs);
  return fmt::format("{} to {}", op.min_inputs, op.max_inputs);
}

}  // namespace

const OpInfo& info(Op op) { return OpInfos::kAll[static_cast<size_t>(op)]; }

Op parse_op(std::string_view name) {
  static const auto by_name = [] {
    std::unordered_map<std::string_view, Op> map;
    for (int k = 0; k < kOpCount; ++k) map.emplace(OpInfos::kAll[k].name, static_cast<Op>(k));
    return map;
  }();
  const auto found = by_name.find(name);
  if (found == by_name.end()) throw ValueError(fmt::format("there is no op named '{}'", name));
  return found->second;
}

std::vector<TensorSpec> infer(const Operation& op, std::span<const TensorSpec> inputs, const TensorSpec* target) {
  const OpInfo& op_info = info(op.op);
  const auto count = static_cast<int64_t>(inputs.size());
  if (count < op_info.min_inputs || (op_info.max_inputs >= 0 && count > op_info.max_inputs)) {
    throw GraphError(fmt::format("[{}] {} operands are expected, got {}", op_info.name, expected_count(op_info), count));
  }
  const shape_rules::Request request{op.op, op.attrs, op.payload.get(), inputs, target};
  std::vector<TensorSpec> outputs = kInfer[static_cast<size_t>(op.op)](request);
  for (const TensorSpec& out : outputs) out.shape.check(op_info.name, size_of(out.dtype));
  return outputs;
}

}  // namespace lazuli
