// Declares the definitions of composite ops in terms of primitive ones, which is how they are differentiated where they have no rule.
#pragma once

#include "autograd/vjp_context.h"

namespace lazuli::autograd {

/// What a definition is made from: attributes and operands as the op has them.
struct DefinitionRequest {
  const Attrs& attrs;
  std::span<const LazyTensor> inputs;
  const LazyTensor& in(size_t k) const { return inputs[k]; }
};
using Outputs = std::vector<LazyTensor>;

/// The op's results recorded as primitive ops. Throws GraphError for an op without a definition.
Outputs define(Op op, const DefinitionRequest& r);
bool has_definition(Op op);

/// Sets the gradients of the operands [first, last) that are needed by differentiating the definition.
void vjp_through_definition(VjpContext& c, size_t first, size_t last);

/// (x - mean) / sqrt(var + eps) over the last axis, and x / sqrt(mean(x^2) + eps), in `compute_dtype(x)`.
LazyTensor standardised(const LazyTensor& x, const LazyTensor& eps);
LazyTensor divided_by_rms(const LazyTensor& x, const LazyTensor& eps);

/// cap * tanh(x / cap), and its derivative by x.
struct Capped {
  LazyTensor value, slope;
};
Capped capped(const LazyTensor& x, const LazyTensor& cap);

Outputs define_rope(const DefinitionRequest& r);
Outputs define_sdpa(const DefinitionRequest& r);
Outputs define_sdpa_backward(const DefinitionRequest& r);

}  // namespace lazuli::autograd
