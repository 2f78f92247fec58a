// Implements the recording functions of views and of LazyTensor's methods.
#include <fmt/format.h>

#include <algorithm>

#include "graph/attrs.h"
#include "graph/ops_common.h"
#include "lazuli/error.h"
#include "lazuli/op.h"

namespace lazuli {

namespace {

Shape resolve(const Shape& from, Shape to) {
  int unknown = -1;
  int64_t known = 1;
  for (int i = 0; i < to.rank(); ++i) {
    if (to[i] == -1 && unknown < 0) {
      unknown = i;
    } else if (to[i] < 0) {
      throw ShapeError(fmt::format("[reshape] shape {}: one dimension may be -1, the others at least 0", to_string(to)));
    } else if (__builtin_mul_overflow(known, to[i], &known)) {
      throw ShapeError(fmt::format("[reshape] shape {} has too many elements", to_string(to)));
    }
  }
  if (unknown < 0) return to;
  if (known == 0 || from.numel() % known != 0) {
    throw ShapeError(fmt::format("[reshape] {} elements of shape {} do not divide into {}", from.numel(), to_string(from), to_string(to)));
  }
  to[unknown] = from.numel() / known;
  return to;
}

LazyTensor record_slice(const LazyTensor& x, std::vector<int64_t> starts_and_steps, const Shape& shape, Where where) {
  Attrs attrs;
  attrs.list = IntList(std::move(starts_and_steps));
  const TensorSpec target{x.dtype(), shape};
  return record(Op::slice, {x}, attrs, &target, where);
}

int64_t clamp_bound(int64_t bound, int64_t dim) { return std::clamp<int64_t>(bound < 0 ? bound + dim : bound, 0, dim); }

}  // namespace

LazyTensor reshape(const LazyTensor& x, const Shape& shape, Where where) {
  const TensorSpec target{x.dtype(), resolve(x.shape(), shape)};
  if (target.shape == x.shape()) return x;
  return record(Op::reshape, {x}, {}, &target, where);
}

LazyTensor expand(const LazyTensor& x, const Shape& shape, Where where) {
  if (shape == x.shape()) return x;
  const TensorSpec target{x.dtype(), shape};
  return record(Op::expand, {x}, {}, &target, where);
}

LazyTensor permute(const LazyTensor& x, std::span<const int> axes, Where where) {
  if (static_cast<int>(axes.size()) != x.rank()) {
    throw ShapeError(fmt::format("[transpose] {} axes are expected for shape {}, got {}", x.rank(), to_string(x.shape()), axes.size()));
  }
  Attrs attrs;
  bool identity = true;
  for (int k = 0; k < x.rank(); ++k) {
    const int axis = normalize_axis("transpose", axes[static_cast<size_t>(k)], x.rank());
    identity = identity && axis == k;
    attrs[attr::transpose::axes] |= static_cast<int64_t>(axis) << (4 * k);
  }
  return identity ? x : record(Op::transpose, {x}, attrs, nullptr, where);
}

LazyTensor transpose(const LazyTensor& x, int a, int b, Where where) {
  int axes[kMaxRank];
  for (int k = 0; k < x.rank(); ++k) axes[k] = k;
  std::swap(axes[normalize_axis("transpose", a, x.rank())], axes[normalize_axis("transpose", b, x.rank())]);
  return permute(x, {axes, static_cast<size_t>(x.rank())}, where);
}

LazyTensor slice(const LazyTensor& x, std::span<const int64_t> starts, std::span<const int64_t> stops, std::span<const int64_t> steps,
                 Where where) {
  const auto rank = static_cast<size_t>(x.rank());
  if (starts.size() != rank || stops.size() != rank || (!steps.empty() && steps.size() != rank)) {
    throw ShapeError(fmt::format("[slice] {} starts, stops and steps are expected for shape {}, got {}, {} and {}", rank,
                                 to_string(x.shape()), starts.size(), stops.size(), steps.size()));
  }
  std::vector<int64_t> list(2 * rank, 1);
  Shape shape = x.shape();
  for (size_t k = 0; k < rank; ++k) {
    const int axis = static_cast<int>(k);
    const int64_t step = steps.empty() ? 1 : steps[k];
    if (step < 1) throw ValueError(fmt::format("[slice] axis {}: a step of at least 1 is expected, got {}", axis, step));
    const int64_t start = clamp_bound(starts[k], x.shape()[axis]), stop = clamp_bound(stops[k], x.shape()[axis]);
    list[k] = start;
    list[rank + k] = step;
    shape[axis] = stop <= start ? 0 : (stop - start - 1) / step + 1;
  }
  return shape == x.shape() ? x : record_slice(x, std::move(list), shape, where);
}

LazyTensor slice(const LazyTensor& x, int axis, int64_t start, int64_t stop, int64_t step, Where where) {
  const int at = normalize_axis("slice", axis, x.rank());
  const auto rank = static_cast<size_t>(x.rank());
  int64_t starts[kMaxRank] = {}, stops[kMaxRank], steps[kMaxRank];
  for (int k = 0; k < x.rank(); ++k) {
    stops[k] = x.shape()[k];
    steps[k] = 1;
  }
  starts[at] = start;
  stops[at] = stop;
  steps[at] = step;
  return slice(x, std::span<const int64_t>(starts, rank), {stops, rank}, {steps, rank}, where);
}

LazyTensor squeeze(const LazyTensor& x, int axis, Where where) {
  const int at = normalize_axis("squeeze", axis, x.rank());
  if (x.shape()[at] != 1) throw ShapeError(fmt::format("[squeeze] axis {} of shape {} is not 1", axis, to_string(x.shape())));
  Shape shape;
  for (int k = 0; k < x.rank(); ++k) {
    if (k != at) shape.push_back(x.shape()[k]);
  }
  return reshape(x, shape, where);
}

LazyTensor unsqueeze(const LazyTensor& x, int axis, Where where) {
  const int at = normalize_axis("unsqueeze", axis, x.rank() + 1);
  Shape shape;
  for (int k = 0; k <= x.rank(); ++k) {
    if (k == at) shape.push_back(1);
    if (k < x.rank()) shape.push_back(x.shape()[k]);
  }
  return reshape(x, shape, where);
}

LazyTensor stop_gradient(const LazyTensor& x, Where where) { return record(Op::stop_gradient, {x}, {}, nullptr, where); }
LazyTensor barrier(const LazyTensor& x, const LazyTensor& dependency, Where where) {
  return record(Op::barrier, {x, dependency}, {}, nullptr, where);
}

std::vector<LazyTensor> split(const LazyTensor& x, int parts, int axis, Where where) {
  const int64_t dim = x.shape()[normalize_axis("split", axis, x.rank())];
  if (parts < 1 || dim % parts != 0) {
    throw ShapeError(fmt::format("[split] axis {} of shape {} does not divide into {} parts", axis, to_string(x.shape()), parts));
  }
  const std::vector<int64_t> sizes(static_cast<size_t>(parts), dim / parts);
  return split(x, sizes, axis, where);
}

std::vector<LazyTensor> split(const LazyTensor& x, std::span<const int64_t> sizes, int axis, Where where) {
  const int at = normalize_axis("split", axis, x.rank());
  int64_t start = 0;
  for (int64_t size : sizes) {
    if (size < 0 || size > x.shape()[at] - start) {
      throw ShapeError(fmt::format("[split] sizes {} do not fit axis {} of shape {}", fmt::join(sizes, ", "), axis, to_string(x.shape())));
    }
    start += size;
  }
  if (start != x.shape()[at]) {
    throw ShapeError(fmt::format("[split] sizes {} do not fill axis {} of shape {}", fmt::join(sizes, ", "), axis, to_string(x.shape())));
  }
  std::vector<LazyTensor> out;
  start = 0;
  for (int64_t size : sizes) {
    out.push_back(slice(x, at, start, start + size, 1, where));
    start += size;
  }
  return out;
}

LazyTensor LazyTensor::matmul(const LazyTensor& b, Where where) const { return lazuli::matmul(*this, b, false, false, where); }
LazyTensor LazyTensor::softmax(int dim, Where where) const { return lazuli::softmax(*this, dim, where); }
LazyTensor LazyTensor::rms_norm(const LazyTensor& weight, double eps, Where where) const {
  return lazuli::rms_norm(*this, weight, eps, where);
}
LazyTensor LazyTensor::mul_scalar(double s, Where where) const { return lazuli::mul_scalar(*this, s, where); }
LazyTensor LazyTensor::add_scalar(double s, Where where) const { return lazuli::add_scalar(*this, s, where); }
LazyTensor LazyTensor::lora_fused(const LazyTensor& a, const LazyTensor& b, double scale, Where where) const {
  return lazuli::lora_fused(*this, a, b, scale, false, where);
}
LazyTensor LazyTensor::reshape(const Shape& shape, Where where) const { return lazuli::reshape(*this, shape, where); }
LazyTensor LazyTensor::transpose(int a, int b, Where where) const { return lazuli::transpose(*this, a, b, where); }
LazyTensor LazyTensor::permute(std::initializer_list<int> axes, Where where) const {
  return lazuli::permute(*this, {axes.begin(), axes.size()}, where);
}
LazyTensor LazyTensor::slice(int axis, int64_t start, int64_t stop, int64_t step, Where where) const {
  return lazuli::slice(*this, axis, start, stop, step, where);
}
LazyTensor LazyTensor::expand(const Shape& shape, Where where) const { return lazuli::expand(*this, shape, where); }
LazyTensor LazyTensor::sum(std::initializer_list<int> axes, bool keepdims, Where where) const {
  return lazuli::sum(*this, axes, keepdims, where);
}
LazyTensor LazyTensor::mean(std::initializer_list<int> axes, bool keepdims, Where where) const {
  return lazuli::mean(*this, axes, keepdims, where);
}
LazyTensor LazyTensor::cast(DType dtype, Where where) const { return lazuli::cast(*this, dtype, where); }

}  // namespace lazuli
