// Declares random graphs of differentiable ops without ties, for comparing ways to evaluate the same computation.
#pragma once

#include <vector>

#include "lazuli/ops.h"

namespace lazuli::test {

struct RandomGraph {
  std::vector<LazyTensor> values;   ///< every recorded value, in order
  std::vector<LazyTensor> outputs;  ///< some of them
};

/// Called with every value as it is made; may return another handle for it (its evaluated copy, for instance).
using Intercept = LazyTensor (*)(const LazyTensor&);

/// The graph of `seed`, with leaves and scalars of `dtype` (f32 or f64) holding the same numbers. The same seed gives the same graph.
RandomGraph random_graph(uint32_t seed, DType dtype, Intercept intercept = nullptr);

/// Whether two tensors, of any device, have the same dtype, shape and bits.
bool same_bits(const Tensor& a, const Tensor& b);

/// The largest absolute value.
double largest(const Tensor& t);

}  // namespace lazuli::test
