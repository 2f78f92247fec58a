// Data movement on the reference backend.
#include "backend/reference/call.h"
#include "graph/ops/concat.h"
#include "graph/ops/one_hot.h"
#include "graph/ops/pad.h"
#include "graph/ops/page_update.h"
#include "graph/ops/slice_at.h"
#include "graph/ops/slice_update.h"

namespace lazuli::reference {

namespace {

void run_concat(const Call& call) {
  const Out out = call.out();
  const Lanes lanes(out.shape(), call.attr(attr::concat::axis));
  for (int64_t k = call.begin; k < call.end; ++k) {
    int64_t position = k / lanes.inner % lanes.count;
    size_t part = 0;
    const auto length = [&](size_t p) { return call.state.inputs[p].shape[static_cast<int>(call.attr(attr::concat::axis))]; };
    while (position >= length(part)) position -= length(part++);
    const int64_t outer = k / (lanes.inner * lanes.count);
    out.set(k, call.in(part).number((outer * length(part) + position) * lanes.inner + k % lanes.inner));
  }
}

void run_pad(const Call& call) {
  const In x = call.in(operand::pad::x);
  const Out out = call.out();
  const Number value = call.in(operand::pad::value).number(0);
  for (int64_t k = call.begin; k < call.end; ++k) {
    bool inside = true;
    int64_t offset = 0, rest = k;
    for (int axis = x.rank() - 1; axis >= 0; --axis) {
      const int64_t at = rest % out.shape()[axis] - call.state.attrs.list[static_cast<size_t>(axis)];
      rest /= out.shape()[axis];
      inside = inside && at >= 0 && at < x.dim(axis);
      offset += at * x.stride(axis);
    }
    out.set(k, inside ? x.number_at(offset) : value);
  }
}

/// The element of x that takes the first one of the update when the offset is added.
int64_t first_place(const Call& call, int64_t offset) {
  const In x = call.in(operand::slice_update::x), update = call.in(operand::slice_update::update);
  const Strides row_major = contiguous_strides(x.shape());
  const auto rank = static_cast<size_t>(update.rank());
  int64_t first = 0;
  for (size_t i = 0; i < rank; ++i) {
    const int axis = static_cast<int>(i);
    const int64_t start = call.state.attrs.list[i] + (static_cast<int64_t>(i) == call.attr(attr::slice_update::offset_axis) ? offset : 0);
    check_index(call, "start", start, x.dim(axis));
    check_index(call, "end", start + (update.dim(axis) - 1) * call.state.attrs.list[rank + i], x.dim(axis));
    first += start * row_major[axis];
  }
  return first;
}

void run_slice_update(const Call& call) {
  namespace in = operand::slice_update;
  const In update = call.in(in::update), offsets = call.in(in::offset);
  if (call.begin == call.end || update.numel() == 0) return;
  Strides strides = contiguous_strides(call.in(in::x).shape());
  for (int i = 0; i < update.rank(); ++i) strides[i] *= call.state.attrs.list[static_cast<size_t>(i + update.rank())];
  const int64_t each = update.numel() / offsets.numel();
  for (int64_t k = 0; k < update.numel(); ++k) {
    const int64_t first = first_place(call, offsets.integer(k / each));
    call.out().set(first + offset_of(k, update.shape(), strides), update.number(k));
  }
}

/// A task is a token of a row.
void run_page_update(const Call& call) {
  namespace in = operand::page_update;
  const In pool = call.in(in::pool), x = call.in(in::x), blocks = call.in(in::blocks), offsets = call.in(in::offset);
  const int64_t heads = pool.dim(1), page = pool.dim(2), size = pool.dim(3), tokens = x.dim(2), pages = blocks.dim(1);
  for (int64_t task = call.begin; task < call.end; ++task) {
    const int64_t row = task / tokens, token = task % tokens, position = offsets.integer(offsets.rank() == 0 ? 0 : row) + token;
    check_index(call, "position", position, pages * page);
    const int64_t block = blocks.integer(row * pages + position / page);
    if (block == -1) continue;
    check_index(call, "block", block, pool.dim(0));
    for (int64_t k = 0; k < heads * size; ++k) {
      const int64_t head = k / size, i = k % size;
      call.out().set(((block * heads + head) * page + position % page) * size + i,
                     x.number(((row * heads + head) * tokens + token) * size + i));
    }
  }
}

void run_slice_at(const Call& call) {
  const In x = call.in(operand::slice_at::x);
  const Out out = call.out();
  const auto axis = static_cast<int>(call.attr(attr::slice_at::axis));
  const int64_t start = call.in(operand::slice_at::offset).integer();
  if (start < 0 || start > x.dim(axis) - out.shape()[axis]) {
    throw ValueError(call.name() + " offset " + std::to_string(start) + " with size " + std::to_string(out.shape()[axis]) +
                     " is out of range for size " + std::to_string(x.dim(axis)));
  }
  for (int64_t k = call.begin; k < call.end; ++k) out.set(k, x.number_at(start * x.stride(axis) + offset_of(k, out.shape(), x.strides())));
}

void run_one_hot(const Call& call) {
  const In indices = call.in(0);
  const int64_t classes = call.attr(attr::one_hot::classes);
  for (int64_t row = call.begin; row < call.end; ++row) {
    const int64_t hot = indices.integer(row);
    check_index(call, "index", hot, classes);
    for (int64_t j = 0; j < classes; ++j) call.out().set(row * classes + j, Number::of(j == hot));
  }
}

}  // namespace

PreparedOp prepare_concat(const KernelRequest& request) { return prepare_loop<run_concat>(request, elements(request)); }
PreparedOp prepare_pad(const KernelRequest& request) { return prepare_loop<run_pad>(request, elements(request)); }
PreparedOp prepare_slice_at(const KernelRequest& request) { return prepare_loop<run_slice_at>(request, elements(request)); }
PreparedOp prepare_one_hot(const KernelRequest& request) { return prepare_loop<run_one_hot>(request, request.inputs[0].shape.numel()); }
PreparedOp prepare_slice_update(const KernelRequest& request) {
  PreparedOp prepared = prepare_loop<run_slice_update>(request, 1);
  prepared.in_place = {0};
  return prepared;
}
PreparedOp prepare_page_update(const KernelRequest& request) {
  const Shape& x = request.inputs[operand::page_update::x].shape;
  PreparedOp prepared = prepare_loop<run_page_update>(request, x[0] * x[2]);
  prepared.in_place = {0};
  return prepared;
}

}  // namespace lazuli::reference
