// Defines VjpContext, what a derivative rule sees of an op and where it puts gradients, and the helpers that rules share.
#pragma once

#include <span>
#include <vector>

#include "lazuli/ops.h"

namespace lazuli::autograd {

/// One recorded op on the way back. A rule records the gradients of the operands that are needed, in their dtype and shape; what it leaves
/// out counts as zero.
struct VjpContext {
  Op op;
  const Attrs& attrs;
  const NodePayload* payload;
  std::span<const LazyTensor> inputs;
  std::span<const LazyTensor> outputs;
  std::span<const LazyTensor> cotangents;  ///< one an output; an empty handle is zero
  std::span<const uint8_t> needed;         ///< one an operand
  std::span<LazyTensor> grads;             ///< one an operand, to be filled
  /// The values that the whole derivative is taken for. `checkpoint` puts into `wanted_grads` what reaches them past its arguments.
  std::span<const LazyTensor> wanted;
  std::span<LazyTensor> wanted_grads;
  bool recognise;  ///< composite patterns are searched in what a rule computes again

  const LazyTensor& in(size_t k) const { return inputs[k]; }
  const LazyTensor& out(size_t k = 0) const { return outputs[k]; }
  const LazyTensor& g(size_t k = 0) const { return cotangents[k]; }
  bool need(size_t k) const { return k < needed.size() && needed[k] != 0; }
  /// Sets the gradient of operand k, summed over the axes along which it was broadcast.
  void set(size_t k, const LazyTensor& gradient);
};

using VjpFn = void (*)(VjpContext&);

/// Gradients of sum(outputs[k] * cotangents[k]) for `inputs`; an empty handle where nothing reaches an input or where a cotangent is zero.
/// With `cut`, `inputs` are leaves: what they were made from is not walked.
struct VjpOptions {
  bool cut = false;
  bool recognise = false;
};
std::vector<LazyTensor> run_vjp(std::span<const LazyTensor> outputs, std::span<const LazyTensor> inputs,
                                std::span<const LazyTensor> cotangents, const VjpOptions& options);

/// A rank-0 constant of x's dtype.
LazyTensor constant(const LazyTensor& x, double value);
LazyTensor zeros_like(const LazyTensor& x);
/// A value of its own with x's data, so that a derivative can be taken with respect to this use of x alone.
LazyTensor alias(const LazyTensor& x);
/// Sums g over the axes along which `shape` was broadcast to g's shape.
LazyTensor unbroadcast(const LazyTensor& g, const Shape& shape);
/// The result of a reduction over the axes of the bit mask, with these axes as size 1 again.
LazyTensor restore_axes(const LazyTensor& reduced, const Shape& shape, int64_t mask);
/// f64 for f64, else f32: where rules and definitions compute statistics.
DType compute_dtype(const LazyTensor& x);
std::vector<int> axes_of_mask(int64_t mask);
/// All axes but the last.
std::vector<int> leading_axes(const LazyTensor& x);
/// a + b where either may be empty.
LazyTensor sum_of(const LazyTensor& a, const LazyTensor& b);

}  // namespace lazuli::autograd
