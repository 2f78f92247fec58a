// Declares the derivative rule of every op (namespace vjp_rules) and the table that finds it.
#pragma once

#include "autograd/vjp_context.h"

namespace lazuli::autograd {

namespace vjp_rules {

#define LAZULI_OP(name, min_inputs, max_inputs, outputs, cls, traits, infer, rule, kernel) void vjp_##rule(VjpContext& c);
#include "lazuli/ops.def"

}  // namespace vjp_rules

/// The rule of an op, or null when the op has no derivative.
VjpFn vjp_rule(Op op);

}  // namespace lazuli::autograd
