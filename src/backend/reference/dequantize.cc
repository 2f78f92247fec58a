// Dequantization on the reference backend: one scale and zero point for each group of neighbours in the last axis, or what a format says.
#include "graph/ops/dequantize.h"

#include "backend/reference/call.h"

namespace lazuli::reference {

namespace {

void run_dequantize(const Call& call) {
  const In q = call.in(operand::dequantize::q), scales = call.in(operand::dequantize::scales);
  const int64_t n = q.dim(-1), groups = scales.dim(-1);
  for (int64_t k = call.begin; k < call.end; ++k) {
    const int64_t group = k / n * groups + k % n / call.attr(attr::dequantize::group);
    const double zero = call.inputs() > operand::dequantize::zero_points ? call.in(operand::dequantize::zero_points).real(group) : 0;
    call.out().set(k, (q.real(k) - zero) * scales.real(group));
  }
}

void run_stored(const Call& call) {
  const int64_t n = call.out().shape().back(), rows = n == 0 ? 0 : call.out().shape().numel() / n;
  const QuantReader weight = call.weight(static_cast<QuantFormatId>(call.attr(attr::dequantize::format)), rows, n, 0, call.inputs());
  for (int64_t k = call.begin; k < call.end; ++k) call.out().set(k, static_cast<double>(weight.at(k / n, k % n)));
}

}  // namespace

PreparedOp prepare_dequantize(const KernelRequest& request) {
  if (request.attrs[attr::dequantize::format] != 0) {
    PreparedOp op = prepare_loop<run_stored>(request, request.outputs[0].shape.numel());
    op.needs_contiguous |= strided_parts(request, 0, request.inputs.size());
    return op;
  }
  return prepare_loop<run_dequantize>(request, request.outputs[0].shape.numel());
}

}  // namespace lazuli::reference
