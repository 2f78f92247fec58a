// RMS and layer norms over the last axis with their gradients, and group norm on the cuda backend.
#include "backend/backend.h"
#include "backend/cuda/row_share.h"
#include "graph/ops/group_norm.h"
#include "lazuli/op.h"

namespace lazuli::cuda {

namespace {

/// Rows of `count` elements; row r is group r % groups, where `size` neighbours have one weight.
struct NormRows {
  int64_t rows, count, groups = 1, size = 1;
};

PreparedOp prepare_rows(const KernelRequest& request, const char* name, std::string_view file, bool center, const NormRows& r) {
  refuse_f64(request);
  if (const uint32_t strided = strided_operands(request)) return ask_for_contiguous(strided);
  const DType dtype = request.inputs[0].dtype;
  KernelText text;
  text.type("T", dtype).type("E", request.inputs.back().dtype).number("CENTER", center ? 1 : 0);
  text.number("GROUPED", request.op == Op::group_norm ? 1 : 0).number("ADD", 0);
  const RowShare share(r.rows, r.count, dtype);
  PreparedOp op = make_op(request, name, {launch_rows(request, text, file, {r.rows, r.count, r.groups, r.size}, share)}, 6);
  op.in_place = {0};
  return op;
}

/// Both results; a sum that nobody reads goes to scratch memory.
PreparedOp prepare_add(const KernelRequest& request, const char* name, bool center, const NormRows& r) {
  refuse_f64(request);
  if (const uint32_t strided = strided_operands(request)) return ask_for_contiguous(strided);
  const DType dtype = request.inputs[0].dtype;
  KernelText text;
  text.type("T", dtype).type("E", request.inputs.back().dtype).number("CENTER", center ? 1 : 0).number("GROUPED", 0).number("ADD", 1);
  Launch launch = launch_rows(request, text, "norm", {r.rows, r.count, r.groups, r.size}, RowShare(r.rows, r.count, dtype));
  const bool kept = request.outputs[0].used;
  if (!kept) launch.out = {Place::scratch(0), Place::output(1)};
  PreparedOp op = make_op(request, name, {std::move(launch)}, 7);
  if (!kept) op.scratch_bytes = static_cast<size_t>(request.outputs[0].shape.numel()) * size_of(dtype);
  op.in_place = {0};
  return op;
}

NormRows last_axis(const KernelRequest& request) {
  const Shape& shape = request.inputs[0].shape;
  NormRows r{1, shape.back()};
  for (int i = 0; i + 1 < shape.rank(); ++i) r.rows *= shape[i];
  return r;
}

}  // namespace

PreparedOp prepare_rms_norm(const KernelRequest& request) { return prepare_rows(request, "rms_norm", "norm", false, last_axis(request)); }
PreparedOp prepare_layer_norm(const KernelRequest& request) {
  return prepare_rows(request, "layer_norm", "norm", true, last_axis(request));
}
PreparedOp prepare_rms_norm_backward(const KernelRequest& request) {
  return prepare_rows(request, "rms_norm_backward", "norm_backward", false, last_axis(request));
}
PreparedOp prepare_layer_norm_backward(const KernelRequest& request) {
  return prepare_rows(request, "layer_norm_backward", "norm_backward", true, last_axis(request));
}

PreparedOp prepare_add_rms_norm(const KernelRequest& request) { return prepare_add(request, "add_rms_norm", false, last_axis(request)); }
PreparedOp prepare_add_layer_norm(const KernelRequest& request) { return prepare_add(request, "add_layer_norm", true, last_axis(request)); }

PreparedOp prepare_group_norm(const KernelRequest& request) {
  const Shape& x = request.inputs[0].shape;
  const int64_t groups = request.attrs[attr::group_norm::groups];
  int64_t size = 1;
  for (int d = 2; d < x.rank(); ++d) size *= x[d];
  // A group's channels and their elements are neighbours in row-major order. Without elements there is nothing to do.
  const NormRows r{size == 0 ? 0 : x[0] * groups, x[1] / groups * size, groups, std::max<int64_t>(size, 1)};
  return prepare_rows(request, "group_norm", "norm", true, r);
}

}  // namespace lazuli::cuda
