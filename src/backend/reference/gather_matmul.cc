// Products of rows with the matrices that they chose, on the reference backend.
#include "graph/ops/gather_matmul.h"

#include "backend/reference/call.h"
#include "graph/ops/gather_outer.h"

namespace lazuli::reference {

namespace {

int64_t expert_at(const Call& call, const In& chosen, int64_t slot, int64_t experts) {
  const int64_t expert = chosen.integer(slot);
  check_index(call, "expert", expert, experts);
  return expert;
}

/// Where the row of an operand (rows, each or 1, size) lies that choice number `slot` of (rows, each) multiplies.
int64_t row_of(const In& x, int64_t slot, int64_t each) {
  return slot / each * x.stride(0) + (x.dim(1) == 1 ? 0 : slot % each * x.stride(1));
}

void run_gather_matmul(const Call& call) {
  namespace in = operand::gather_matmul;
  const In x = call.in(in::x), w = call.in(in::w), chosen = call.in(in::chosen);
  const bool transposed = call.attr(attr::gather_matmul::transpose_w) != 0;
  const int64_t n = call.out().shape()[2];
  const int64_t column_stride = w.stride(transposed ? 1 : 2), depth_stride = w.stride(transposed ? 2 : 1);
  for (int64_t k = call.begin; k < call.end; ++k) {
    const int64_t slot = k / n, row = row_of(x, slot, chosen.dim(1));
    const int64_t column = expert_at(call, chosen, slot, w.dim(0)) * w.stride(0) + k % n * column_stride;
    double sum = 0;
    for (int64_t p = 0; p < x.dim(2); ++p) sum += x.real_at(row + p * x.stride(2)) * w.real_at(column + p * depth_stride);
    call.out().set(k, sum);
  }
}

void run_gather_outer(const Call& call) {
  namespace in = operand::gather_outer;
  const In a = call.in(in::a), b = call.in(in::b), chosen = call.in(in::chosen);
  const Shape& out = call.out().shape();
  for (int64_t k = call.begin; k < call.end; ++k) {
    const int64_t expert = k / out[2] / out[1], row = k / out[2] % out[1], column = k % out[2];
    double sum = 0;
    for (int64_t slot = 0; slot < chosen.numel(); ++slot) {
      if (expert_at(call, chosen, slot, out[0]) != expert) continue;
      sum +=
          a.real_at(row_of(a, slot, chosen.dim(1)) + row * a.stride(2)) * b.real_at(row_of(b, slot, chosen.dim(1)) + column * b.stride(2));
    }
    call.out().set(k, sum);
  }
}

}  // namespace

PreparedOp prepare_gather_matmul(const KernelRequest& request) { return prepare_loop<run_gather_matmul>(request, elements(request)); }
PreparedOp prepare_gather_outer(const KernelRequest& request) { return prepare_loop<run_gather_outer>(request, elements(request)); }

}  // namespace lazuli::reference
