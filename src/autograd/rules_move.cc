// Derivative rules of views, gathers, scatters and data movement.
#include "autograd/vjp_rules.h"
#include "graph/attrs.h"
#include "graph/operands.h"

namespace lazuli::autograd::vjp_rules {

namespace {

/// attrs.list as its two halves, one entry an axis each.
struct Halves {
  std::span<const int64_t> first, second;
  explicit Halves(const Attrs& attrs)
      : first(attrs.list.span().first(attrs.list.size() / 2)), second(attrs.list.span().subspan(attrs.list.size() / 2)) {}
};

/// Zeros of x's shape with g at x[starts + k*steps].
LazyTensor place(const LazyTensor& g, const LazyTensor& x, std::span<const int64_t> starts, std::span<const int64_t> steps) {
  bool dense = true;
  std::vector<int64_t> high;
  for (int i = 0; i < x.rank(); ++i) {
    const auto k = static_cast<size_t>(i);
    dense = dense && (steps[k] == 1 || g.shape()[i] <= 1);
    high.push_back(x.shape()[i] - starts[k] - g.shape()[i]);
  }
  if (dense) return pad(g, starts, high, LazyTensor::zeros({}, g.dtype()));
  return slice_update(LazyTensor::zeros(x.shape(), g.dtype()), g, starts, steps);
}

/// Elements from the first one to the last of `count` with a step.
int64_t extent(int64_t count, int64_t step) { return count == 0 ? 0 : (count - 1) * step + 1; }

/// g[starts + k*steps] with `shape` elements, the run-time offset added to the start of `axis`.
LazyTensor take(const LazyTensor& g, const Shape& shape, const Halves& at, const LazyTensor& offset, int axis) {
  std::vector<int64_t> starts(at.first.begin(), at.first.end()), stops;
  const auto a = static_cast<size_t>(axis);
  const LazyTensor start = add(offset, LazyTensor::full({}, static_cast<double>(starts[a]), offset.dtype()));
  const LazyTensor window = slice_at(g, start, extent(shape[axis], at.second[a]), axis);
  starts[a] = 0;
  for (size_t k = 0; k < starts.size(); ++k) stops.push_back(starts[k] + extent(shape[static_cast<int>(k)], at.second[k]));
  return slice(window, starts, stops, at.second);
}

/// The same with an offset for each row of axis 0.
LazyTensor take_by_row(const LazyTensor& g, const Shape& shape, const Halves& at, const LazyTensor& offset, int axis) {
  const auto a = static_cast<size_t>(axis);
  std::vector<int64_t> starts(at.first.begin(), at.first.end()), stops, steps(at.second.begin(), at.second.end());
  for (size_t k = 0; k < starts.size(); ++k) stops.push_back(starts[k] + extent(shape[static_cast<int>(k)], steps[k]));
  starts[a] = 0;
  stops[a] = g.shape()[axis];
  steps[a] = 1;
  Shape row(std::vector<int64_t>(starts.size(), 1)), place = row;
  row[0] = shape[0];
  place[axis] = shape[axis];
  const LazyTensor places = arange(at.first[a], at.first[a] + shape[axis] * at.second[a], at.second[a], offset.dtype());
  const LazyTensor indices = reshape(offset, row) + reshape(places, place);
  return take_along(slice(g, starts, stops, steps), expand(indices, shape), axis);
}

}  // namespace

void vjp_reshape(VjpContext& c) { c.set(0, reshape(c.g(), c.in(0).shape())); }
void vjp_expand(VjpContext& c) { c.set(0, c.g()); }
void vjp_barrier(VjpContext& c) {
  namespace in = operand::barrier;
  if (c.need(in::x)) c.set(in::x, c.g());
}

void vjp_transpose(VjpContext& c) {
  std::vector<int> inverse(static_cast<size_t>(c.in(0).rank()));
  for (int k = 0; k < c.in(0).rank(); ++k) inverse[static_cast<size_t>((c.attrs[attr::transpose::axes] >> (4 * k)) & 15)] = k;
  c.set(0, permute(c.g(), inverse));
}

void vjp_slice(VjpContext& c) {
  const Halves at(c.attrs);
  c.set(0, place(c.g(), c.in(0), at.first, at.second));
}

void vjp_gather(VjpContext& c) {
  namespace in = operand::gather;
  if (c.need(in::x))
    c.set(in::x, scatter_add(zeros_like(c.in(in::x)), c.in(in::indices), c.g(), static_cast<int>(c.attrs[attr::gather::axis])));
}
void vjp_take_along(VjpContext& c) {
  namespace in = operand::take_along;
  if (c.need(in::x))
    c.set(in::x, scatter_along_add(zeros_like(c.in(in::x)), c.in(in::indices), c.g(), static_cast<int>(c.attrs[attr::take_along::axis])));
}
void vjp_scatter_add(VjpContext& c) {
  namespace in = operand::scatter_add;
  if (c.need(in::x)) c.set(in::x, c.g());
  if (c.need(in::updates)) c.set(in::updates, gather(c.g(), c.in(in::indices), static_cast<int>(c.attrs[attr::scatter_add::axis])));
}
void vjp_scatter_along_add(VjpContext& c) {
  namespace in = operand::scatter_along_add;
  if (c.need(in::x)) c.set(in::x, c.g());
  if (c.need(in::updates))
    c.set(in::updates, take_along(c.g(), c.in(in::indices), static_cast<int>(c.attrs[attr::scatter_along_add::axis])));
}

void vjp_concat(VjpContext& c) {
  const int axis = static_cast<int>(c.attrs[attr::concat::axis]);
  int64_t start = 0;
  for (size_t k = 0; k < c.inputs.size(); ++k) {
    const int64_t stop = start + c.in(k).shape()[axis];
    if (c.need(k)) c.set(k, slice(c.g(), axis, start, stop));
    start = stop;
  }
}

void vjp_pad(VjpContext& c) {
  namespace in = operand::pad;
  const Halves widths(c.attrs);
  std::vector<int64_t> stops;
  stops.reserve(static_cast<size_t>(c.in(in::x).rank()));
  for (int i = 0; i < c.in(in::x).rank(); ++i) stops.push_back(widths.first[static_cast<size_t>(i)] + c.in(in::x).shape()[i]);
  const LazyTensor inside = slice(c.g(), widths.first, stops);
  if (c.need(in::x)) c.set(in::x, inside);
  if (c.need(in::value)) c.set(in::value, sum(c.g()) - sum(inside));
}

void vjp_slice_update(VjpContext& c) {
  namespace in = operand::slice_update;
  const LazyTensor &x = c.in(in::x), &update = c.in(in::update), &offset = c.in(in::offset);
  if (x.rank() == 0) {
    if (c.need(in::update)) c.set(in::update, c.g());
    return;
  }
  const Halves at(c.attrs);
  const int axis = static_cast<int>(c.attrs[attr::slice_update::offset_axis]);
  if (c.need(in::x)) c.set(in::x, slice_update(c.g(), zeros_like(update), at.first, at.second, offset, axis));
  const auto taken = offset.rank() == 0 ? take : take_by_row;
  if (c.need(in::update)) c.set(in::update, taken(c.g(), update.shape(), at, offset, axis));
}

void vjp_slice_at(VjpContext& c) {
  namespace in = operand::slice_at;
  if (!c.need(in::x)) return;
  const std::vector<int64_t> starts(static_cast<size_t>(c.in(in::x).rank()), 0);
  c.set(in::x, slice_update(zeros_like(c.in(in::x)), c.g(), starts, {}, c.in(in::offset), static_cast<int>(c.attrs[attr::slice_at::axis])));
}

// Also of topk: each value went to the place that its index names.
void vjp_sort(VjpContext& c) {
  c.set(0, scatter_along_add(zeros_like(c.in(0)), c.out(1), c.g(), static_cast<int>(c.attrs[attr::sort::axis])));
}

}  // namespace lazuli::autograd::vjp_rules
