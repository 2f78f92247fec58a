// Defines the request that a shape and dtype rule answers, and declares the rule of every op (namespace shape_rules).
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "lazuli/operation.h"

namespace lazuli::shape_rules {

/// An op over operands of known dtype and shape. `target` is the result that was asked for (reshape, full, slice, ...), or null.
struct Request {
  Op op;
  const Attrs& attrs;
  const NodePayload* payload;
  std::span<const TensorSpec> inputs;
  const TensorSpec* target;

  std::string_view name() const { return name_of(op); }
  const TensorSpec& in(size_t k) const { return inputs[k]; }
};
using Specs = std::vector<TensorSpec>;

/// infer_<rule>: the results' dtypes and shapes; throws ShapeError, DTypeError or ValueError. The operand count is checked before.
#define LAZULI_OP(name, min_inputs, max_inputs, outputs, cls, traits, rule, vjp, kernel) Specs infer_##rule(const Request& r);
#include "lazuli/ops.def"

/// The rule of an elementwise op in the common cases (equal shapes or a rank-0 operand, dtypes as they must be), without heap memory.
/// Unary ops ignore `b`. Returns false when the general rule must look at it.
bool infer_fast(Op op, const TensorSpec& a, const TensorSpec& b, TensorSpec& out);

}  // namespace lazuli::shape_rules
