// Gathers and scatters on the reference backend. Scatters are one task: they add in the order of the indices.
#include "graph/ops/gather.h"

#include "backend/reference/call.h"
#include "backend/reference/scalar_ops.h"
#include "graph/ops/scatter_add.h"
#include "graph/ops/scatter_along_add.h"
#include "graph/ops/take_along.h"
#include "lazuli/op.h"

namespace lazuli::reference {

namespace {

int64_t index_at(const Call& call, const In& indices, int64_t k, int64_t size) {
  const int64_t index = indices.integer(k);
  check_index(call, "index", index, size);
  return index;
}

/// Splits element k of a gather's result: (outer, indices..., inner).
struct GatherPosition {
  GatherPosition(int64_t k, int64_t index_count, const Lanes& x)
      : outer(k / (index_count * x.inner)), index(k / x.inner % index_count), inner(k % x.inner) {}
  /// The element of x that index value `at` names.
  int64_t in_x(const Lanes& x, int64_t at) const { return (outer * x.count + at) * x.inner + inner; }
  int64_t outer, index, inner;
};

void run_gather(const Call& call) {
  const In x = call.in(operand::gather::x), indices = call.in(operand::gather::indices);
  const Lanes lanes(x.shape(), call.attr(attr::take_along::axis));
  for (int64_t k = call.begin; k < call.end; ++k) {
    const GatherPosition at(k, indices.numel(), lanes);
    call.out().set(k, x.number(at.in_x(lanes, index_at(call, indices, at.index, lanes.count))));
  }
}

void accumulate(const Out& out, int64_t k, const Number& v) { out.set(k, apply(Op::add, out.dtype(), out.get(k), v, v)); }

void run_scatter_add(const Call& call) {
  if (call.begin == call.end) return;
  const Out out = call.out();
  const In indices = call.in(operand::scatter_add::indices), updates = call.in(operand::scatter_add::updates);
  const Lanes lanes(out.shape(), call.attr(attr::take_along::axis));
  for (int64_t k = 0; k < updates.numel(); ++k) {
    const GatherPosition at(k, indices.numel(), lanes);
    accumulate(out, at.in_x(lanes, index_at(call, indices, at.index, lanes.count)), updates.number(k));
  }
}

/// The element of a row-major x that element k of `indices` names: the same coordinates but for the axis.
int64_t along(const Call& call, const In& indices, int64_t k, const Shape& x) {
  const auto axis = static_cast<int>(call.attr(attr::gather::axis));
  const Strides strides = contiguous_strides(x);
  int64_t element = index_at(call, indices, k, x[axis]) * strides[axis];
  for (int i = indices.rank() - 1; i >= 0; --i) {
    if (i != axis) element += k % indices.dim(i) * strides[i];
    k /= indices.dim(i);
  }
  return element;
}

void run_take_along(const Call& call) {
  const In x = call.in(operand::take_along::x), indices = call.in(operand::take_along::indices);
  for (int64_t k = call.begin; k < call.end; ++k) call.out().set(k, x.number(along(call, indices, k, x.shape())));
}

void run_scatter_along_add(const Call& call) {
  if (call.begin == call.end) return;
  const In indices = call.in(operand::scatter_along_add::indices), updates = call.in(operand::scatter_along_add::updates);
  for (int64_t k = 0; k < updates.numel(); ++k) accumulate(call.out(), along(call, indices, k, call.out().shape()), updates.number(k));
}

}  // namespace

PreparedOp prepare_gather(const KernelRequest& request) { return prepare_loop<run_gather>(request, request.outputs[0].shape.numel()); }
PreparedOp prepare_take_along(const KernelRequest& request) {
  return prepare_loop<run_take_along>(request, request.outputs[0].shape.numel());
}
PreparedOp prepare_scatter_add(const KernelRequest& request) {
  PreparedOp prepared = prepare_loop<run_scatter_add>(request, 1);
  prepared.in_place = {0};
  return prepared;
}
PreparedOp prepare_scatter_along_add(const KernelRequest& request) {
  PreparedOp prepared = prepare_loop<run_scatter_along_add>(request, 1);
  prepared.in_place = {0};
  return prepared;
}

}  // namespace lazuli::reference
