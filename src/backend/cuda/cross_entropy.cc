// Softmax cross entropy and its gradient on the cuda backend.
#include "graph/ops/cross_entropy.h"

#include "backend/backend.h"
#include "backend/cuda/row_share.h"

namespace lazuli::cuda {

namespace {

PreparedOp prepare_rows(const KernelRequest& request, const char* name) {
  refuse_f64(request);
  if (const uint32_t strided = strided_operands(request)) return ask_for_contiguous(strided);
  const OperandSpec& logits = request.inputs[0];
  const int64_t rows = request.inputs[operand::cross_entropy::targets].shape.numel(), classes = logits.shape.back();
  KernelText text;
  text.type("T", logits.dtype)
      .type("I", request.inputs[operand::cross_entropy::targets].dtype)
      .type("S", request.inputs[operand::cross_entropy::smoothing].dtype)
      .number("CAP_AT", 0);
  Launch launch = launch_rows(request, text, name, {rows, classes, request.attrs[attr::cross_entropy::ignore_index]},
                              RowShare(rows, classes, logits.dtype));
  launch.what_fails = "target";
  return make_op(request, name, {std::move(launch)}, 8);
}

}  // namespace

PreparedOp prepare_cross_entropy(const KernelRequest& request) { return prepare_rows(request, "cross_entropy"); }
PreparedOp prepare_cross_entropy_backward(const KernelRequest& request) {
  PreparedOp op = prepare_rows(request, "cross_entropy_backward");
  op.in_place = {0};
  return op;
}

}  // namespace lazuli::cuda
