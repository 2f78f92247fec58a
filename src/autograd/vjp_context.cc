// Implements the helpers that derivative rules share.
#include "autograd/vjp_context.h"

#include "lazuli/op.h"

namespace lazuli::autograd {

void VjpContext::set(size_t k, const LazyTensor& gradient) { grads[k] = unbroadcast(cast(gradient, in(k).dtype()), in(k).shape()); }

LazyTensor constant(const LazyTensor& x, double value) { return LazyTensor::full({}, value, x.dtype()); }
LazyTensor zeros_like(const LazyTensor& x) { return LazyTensor::zeros(x.shape(), x.dtype()); }

LazyTensor alias(const LazyTensor& x) {
  const TensorSpec same{x.dtype(), x.shape()};
  return record(Op::reshape, {x}, {}, &same);
}

LazyTensor unbroadcast(const LazyTensor& g, const Shape& shape) {
  if (g.shape() == shape) return g;
  const int extra = g.rank() - shape.rank();
  std::vector<int> axes;
  for (int i = 0; i < g.rank(); ++i) {
    if (i < extra || (shape[i - extra] == 1 && g.shape()[i] != 1)) axes.push_back(i);
  }
  return reshape(axes.empty() ? g : sum(g, axes, true), shape);
}

LazyTensor restore_axes(const LazyTensor& reduced, const Shape& shape, int64_t mask) {
  Shape kept = shape;
  for (int i = 0; i < shape.rank(); ++i) {
    if (((mask >> i) & 1) != 0) kept[i] = 1;
  }
  return reshape(reduced, kept);
}

DType compute_dtype(const LazyTensor& x) { return x.dtype() == DType::f64 ? DType::f64 : DType::f32; }

std::vector<int> axes_of_mask(int64_t mask) {
  std::vector<int> axes;
  for (int i = 0; i < kMaxRank; ++i) {
    if (((mask >> i) & 1) != 0) axes.push_back(i);
  }
  return axes;
}

std::vector<int> leading_axes(const LazyTensor& x) {
  std::vector<int> axes;
  for (int i = 0; i + 1 < x.rank(); ++i) axes.push_back(i);
  return axes;
}

LazyTensor sum_of(const LazyTensor& a, const LazyTensor& b) {
  if (!a.defined()) return b;
  return b.defined() ? add(a, b) : a;
}

}  // namespace lazuli::autograd
