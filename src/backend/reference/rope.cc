// Rotary position embedding on the reference backend. A task is one token of one row.
#include "backend/reference/call.h"

namespace lazuli::reference {

namespace {

void run_rope(const Call& call) {
  const In x = call.in(0), cos = call.in(1), sin = call.in(2);
  const int64_t tokens = x.dim(-2), size = x.dim(-1), half = cos.dim(-1);
  const double direction = call.attr(0) != 0 ? -1 : 1;
  for (int64_t task = call.begin; task < call.end; ++task) {
    const int64_t position = call.in(3).integer() + task % tokens;
    check_index(call, "position", position, cos.dim(0));
    const int64_t first = task * size;
    for (int64_t i = 0; i < half; ++i) {
      const double c = cos.real(position * half + i), s = sin.real(position * half + i) * direction;
      const double a = x.real(first + i), b = x.real(first + half + i);
      call.out().set(first + i, a * c - b * s);
      call.out().set(first + half + i, b * c + a * s);
    }
    for (int64_t i = 2 * half; i < size; ++i) call.out().set(first + i, x.number(first + i));
  }
}

}  // namespace

PreparedOp prepare_rope(const KernelRequest& request) {
  const Shape& shape = request.inputs[0].shape;
  return prepare_loop<run_rope>(request, Lanes(shape, shape.rank() - 1).rows());
}

}  // namespace lazuli::reference
