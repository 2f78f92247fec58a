// Softmax, its gradient and its fusion with factors on the cuda backend: a block for each row.
#include "graph/ops/softmax.h"

#include "backend/backend.h"
#include "backend/cuda/lanes.h"
#include "backend/cuda/launch.h"
#include "graph/ops/scaled_softmax.h"
#include "graph/ops/softmax_backward.h"
#include "lazuli/determinism.h"
#include "lazuli/op.h"

namespace lazuli::cuda {

namespace {

constexpr uint32_t kFixedBlock = 256;

PreparedOp prepare_rows(const KernelRequest& request, const char* name, std::string_view file, KernelText text, uint32_t row_major) {
  refuse_f64(request);
  if (const uint32_t strided = strided_operands(request, row_major)) return ask_for_contiguous(strided);
  const Lanes lanes(request.inputs[0].shape, request.attrs[attr::softmax::axis]);
  text.type("T", request.inputs[0].dtype);
  // Of one size in deterministic runs: columns that are masked at the end of a row, as padding is, then change nothing.
  const uint32_t block = deterministic() ? kFixedBlock : threads_for_row(lanes.count);
  PreparedOp op = make_op(
      request, name, {launch_file(request, text, file, {lanes.rows(), lanes.count, lanes.inner}, blocks_for(lanes.rows(), 1), block)}, 5);
  op.in_place = {0};
  return op;
}

}  // namespace

PreparedOp prepare_softmax(const KernelRequest& request) {
  KernelText text;
  text.number("LOG", request.op == Op::log_softmax).number("SCALED", 0).type("PRE", DType::f32).type("POST", DType::f32);
  return prepare_rows(request, "softmax", "softmax", text, 1);
}

PreparedOp prepare_scaled_softmax(const KernelRequest& request) {
  KernelText text;
  text.number("LOG", 0)
      .number("SCALED", 1)
      .type("PRE", request.inputs[operand::scaled_softmax::pre].dtype)
      .type("POST", request.inputs[operand::scaled_softmax::post].dtype);
  return prepare_rows(request, "scaled_softmax", "softmax", text, 1);
}

PreparedOp prepare_softmax_backward(const KernelRequest& request) {
  KernelText text;
  text.type("G", request.inputs[operand::softmax_backward::g].dtype);
  return prepare_rows(request, "softmax_backward", "softmax_backward", text, 3);
}

}  // namespace lazuli::cuda
