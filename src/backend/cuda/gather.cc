// Gathers and scatters along an axis.
#include "graph/ops/gather.h"

#include <algorithm>

#include "backend/backend.h"
#include "backend/cuda/lanes.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/raw.h"
#include "backend/cuda/thresholds.h"
#include "graph/ops/scatter_add.h"

namespace lazuli::cuda {

namespace {

using threshold::scatter::kMostSearched;
using threshold::scatter::kRow;

/// (outer, many, count, inner) of an op whose indices replace the axis, or lie along it.
std::vector<int64_t> sizes_of(const KernelRequest& request, bool along) {
  const int64_t axis = request.attrs[attr::gather::axis];
  const Lanes x(request.inputs[0].shape, axis);
  const Shape& indices = request.inputs[operand::gather::indices].shape;
  return {x.outer, along ? indices[static_cast<int>(axis)] : indices.numel(), x.count, x.inner};
}

PreparedOp prepare_pick(const KernelRequest& request, const char* name, bool along) {
  refuse_f64(request);
  if (const uint32_t strided = strided_operands(request)) return ask_for_contiguous(strided);
  const OperandSpec& out = request.outputs[0];
  const auto sizes = sizes_of(request, along);
  const int64_t numel = out.shape.numel();
  const int64_t pack = along || sizes[3] == 0 ? 1 : pack_of(sizes[3], size_of(out.dtype));
  KernelText text;
  text.type("T", raw_dtype(out.dtype))
      .type("INDEX", request.inputs[operand::gather::indices].dtype)
      .number("ALONG", along)
      .number("PACK", pack);
  text.number("WIDE", is_wide(numel));
  Launch launch = launch_file(request, text, "gather", sizes, blocks_for(numel / pack), 256);
  launch.what_fails = "index";
  PreparedOp op = make_op(request, name, {std::move(launch)}, 0);
  const double moved = 2 * static_cast<double>(numel) * static_cast<double>(size_of(out.dtype));
  op.bytes = std::min(op.bytes, moved + 8 * static_cast<double>(request.inputs[operand::gather::indices].shape.numel()));
  return op;
}

Launch scatter_rows(const KernelRequest& request, KernelText text, const std::vector<int64_t>& sizes) {
  const int64_t columns = std::clamp<int64_t>((sizes[3] + 255) / 256, 1, 4), chunks = (sizes[3] + 256 * columns - 1) / (256 * columns);
  text.number("COLUMNS", columns);
  return launch_file(request, text, "scatter_rows", sizes, blocks_for(sizes[0] * chunks * sizes[1], 1, 1 << 20), 256);
}

Launch scatter_lanes(const KernelRequest& request, KernelText text, const std::vector<int64_t>& sizes, bool along) {
  const int64_t lanes = sizes[0] * sizes[3];
  const bool warp = sizes[1] >= threshold::scatter::kManyIndices && (sizes[3] == 1 || lanes < threshold::scatter::kFewLanes);
  text.number("ALONG", along).number("WARP", warp);
  // Few threads a block: each has a long way to go alone, so they spread over all multiprocessors.
  return launch_file(request, text, "scatter_lanes", sizes, blocks_for(lanes * (warp ? 32 : 1), 64, 132 * 32), 64);
}

PreparedOp prepare_scatter(const KernelRequest& request, const char* name, bool along) {
  refuse_f64(request);
  if (const uint32_t strided = strided_operands(request, 6)) return ask_for_contiguous(strided);
  const auto sizes = sizes_of(request, along);
  KernelText text;
  text.type("T", request.outputs[0].dtype).type("INDEX", request.inputs[operand::scatter_add::indices].dtype);
  const bool rows = !along && sizes[3] >= kRow && sizes[1] <= kMostSearched;
  Launch launch = rows ? scatter_rows(request, text, sizes) : scatter_lanes(request, text, sizes, along);
  launch.what_fails = "index";
  PreparedOp op = make_op(request, name, {std::move(launch)});
  op.in_place = {0};
  const double moved = 3 * static_cast<double>(request.inputs[operand::scatter_add::updates].shape.numel()) *
                       static_cast<double>(size_of(request.outputs[0].dtype));
  op.bytes = std::min(op.bytes, moved + 8 * static_cast<double>(request.inputs[operand::scatter_add::indices].shape.numel()));
  return op;
}

}  // namespace

PreparedOp prepare_gather(const KernelRequest& request) { return prepare_pick(request, "gather", false); }
PreparedOp prepare_take_along(const KernelRequest& request) { return prepare_pick(request, "take_along", true); }
PreparedOp prepare_scatter_add(const KernelRequest& request) { return prepare_scatter(request, "scatter_add", false); }
PreparedOp prepare_scatter_along_add(const KernelRequest& request) { return prepare_scatter(request, "scatter_along_add", true); }

}  // namespace lazuli::cuda
