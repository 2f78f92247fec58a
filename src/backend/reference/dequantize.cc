// Dequantization on the reference backend: one scale and zero point for each group of neighbours in the last axis.
#include "backend/reference/call.h"
#include "graph/attrs.h"

namespace lazuli::reference {

namespace {

void run_dequantize(const Call& call) {
  const In q = call.in(0), scales = call.in(1);
  const int64_t n = q.dim(-1), groups = scales.dim(-1);
  for (int64_t k = call.begin; k < call.end; ++k) {
    const int64_t group = k / n * groups + k % n / call.attr(attr::dequantize::group);
    const double zero = call.inputs() > 2 ? call.in(2).real(group) : 0;
    call.out().set(k, (q.real(k) - zero) * scales.real(group));
  }
}

}  // namespace

PreparedOp prepare_dequantize(const KernelRequest& request) {
  return prepare_loop<run_dequantize>(request, request.outputs[0].shape.numel());
}

}  // namespace lazuli::reference
