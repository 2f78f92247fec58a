// Rotary position embedding on the reference backend. A task is one token of one row.
#include "graph/ops/rope.h"

#include <algorithm>

#include "backend/reference/call.h"
#include "graph/ops/rope_pair.h"

namespace lazuli::reference {

namespace {

int64_t rows_of(const Shape& shape) { return Lanes(shape, shape.rank() - 1).rows(); }

/// Rows [begin, end) of operand k; the tables are operands number `tables` and the next.
void turn(const Call& call, size_t k, size_t tables, int64_t begin, int64_t end) {
  const In x = call.in(k), cos = call.in(tables), sin = call.in(tables + 1), offsets = call.in(tables + 2);
  const Out out = call.out(k);
  const int64_t tokens = x.dim(-2), size = x.dim(-1), half = cos.dim(-1);
  const int64_t rows_each = rows_of(x.shape()) / std::max<int64_t>(x.dim(0), 1);
  const double direction = call.attr(attr::rope::back) != 0 ? -1 : 1;
  for (int64_t task = begin; task < end; ++task) {
    const int64_t position = offsets.integer(offsets.rank() == 0 ? 0 : task / rows_each) + task % tokens;
    check_index(call, "position", position, cos.dim(0));
    const int64_t first = task * size;
    for (int64_t i = 0; i < half; ++i) {
      const double c = cos.real(position * half + i), s = sin.real(position * half + i) * direction;
      const double a = x.real(first + i), b = x.real(first + half + i);
      out.set(first + i, a * c - b * s);
      out.set(first + half + i, b * c + a * s);
    }
    for (int64_t i = 2 * half; i < size; ++i) out.set(first + i, x.number(first + i));
  }
}

void run_rope(const Call& call) { turn(call, 0, 1, call.begin, call.end); }

void run_rope_pair(const Call& call) {
  const int64_t first = rows_of(call.state.inputs[0].shape);
  turn(call, 0, 2, call.begin, std::min(call.end, first));
  turn(call, 1, 2, std::max(call.begin, first) - first, call.end - first);
}

}  // namespace

PreparedOp prepare_rope(const KernelRequest& request) { return prepare_loop<run_rope>(request, rows_of(request.inputs[0].shape)); }
PreparedOp prepare_rope_pair(const KernelRequest& request) {
  return prepare_loop<run_rope_pair>(request, rows_of(request.inputs[0].shape) + rows_of(request.inputs[operand::rope_pair::k].shape));
}

}  // namespace lazuli::reference
