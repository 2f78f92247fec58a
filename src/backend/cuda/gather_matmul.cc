// Products of rows with the matrices that they chose, on the cuda backend: rows are put in the order of their experts, then multiplied in
// tiles.
#include "graph/ops/gather_matmul.h"

#include <algorithm>

#include "backend/backend.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/thresholds.h"
#include "graph/ops/gather_outer.h"

namespace lazuli::cuda {

namespace {

using threshold::experts::kFewSlots;
using threshold::experts::kTile;

int64_t tiles_of(int64_t n) { return (n + kTile - 1) / kTile; }

/// Puts the choices, which both ops have as their third operand, in order, in scratch.
static_assert(operand::gather_matmul::chosen == 2 && operand::gather_outer::chosen == 2);
Launch group_rows(const KernelRequest& request, int64_t slots, int64_t experts) {
  Launch launch = launch_file(request, {}, "group_rows", {slots, experts}, blocks_for(32 * experts), 256);
  launch.what_fails = "expert";
  return launch;
}

PreparedOp op_of(const KernelRequest& request, const char* name, std::vector<Launch> launches, int64_t slots, int64_t experts,
                 double products) {
  PreparedOp op = make_op(request, name, std::move(launches));
  op.flops = 2 * static_cast<double>(slots) * products;
  op.scratch_bytes = static_cast<size_t>(slots + experts + 1) * sizeof(int32_t);
  return op;
}

}  // namespace

PreparedOp prepare_gather_matmul(const KernelRequest& request) {
  namespace in = operand::gather_matmul;
  refuse_f64(request);
  if (const uint32_t strided = strided_operands(request)) return ask_for_contiguous(strided);
  const OperandSpec &x = request.inputs[in::x], &chosen = request.inputs[in::chosen];
  const bool transposed = request.attrs[attr::gather_matmul::transpose_w] != 0;
  const int64_t slots = chosen.shape.numel(), experts = request.inputs[in::w].shape[0], k = x.shape[2], n = request.outputs[0].shape[2];
  const bool few = transposed && slots <= kFewSlots;
  KernelText text;
  text.type("T", x.dtype).number("TRANSPOSED", transposed ? 1 : 0).number("FEW", few ? 1 : 0);
  const int64_t row_tiles = slots / kTile + std::min(experts, slots);
  std::vector<Launch> launches;
  if (!few) launches.push_back(group_rows(request, slots, experts));
  launches.push_back(launch_file(request, text, "gather_matmul", {slots, chosen.shape[1], x.shape[1], k, n, experts},
                                 few ? blocks_for(32 * slots * n) : blocks_for(row_tiles * tiles_of(n), 1), 256));
  if (few) launches.back().what_fails = "expert";
  return op_of(request, "gather_matmul", std::move(launches), slots, experts, static_cast<double>(k) * static_cast<double>(n));
}

PreparedOp prepare_gather_outer(const KernelRequest& request) {
  namespace in = operand::gather_outer;
  refuse_f64(request);
  if (const uint32_t strided = strided_operands(request)) return ask_for_contiguous(strided);
  const OperandSpec &a = request.inputs[in::a], &b = request.inputs[in::b], &chosen = request.inputs[in::chosen];
  const int64_t slots = chosen.shape.numel(), experts = request.attrs[attr::gather_outer::experts], m = a.shape[2], n = b.shape[2];
  KernelText text;
  text.type("T", a.dtype);
  std::vector<Launch> launches = {group_rows(request, slots, experts)};
  launches.push_back(launch_file(request, text, "gather_outer", {slots, chosen.shape[1], a.shape[1], b.shape[1], m, n, experts},
                                 blocks_for(experts * tiles_of(m) * tiles_of(n), 1), 256));
  return op_of(request, "gather_outer", std::move(launches), slots, experts, static_cast<double>(m) * static_cast<double>(n));
}

}  // namespace lazuli::cuda
