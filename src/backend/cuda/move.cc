// Data movement: concat, pad, slice_update, slice_at, one_hot. Elements are moved by size; most operands may have any strides.
#include <algorithm>

#include "backend/backend.h"
#include "backend/cuda/lanes.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/raw.h"
#include "graph/ops/concat.h"
#include "graph/ops/one_hot.h"
#include "graph/ops/slice_at.h"
#include "graph/ops/slice_update.h"

namespace lazuli::cuda {

namespace {

/// Run-time numbers that move elements; absent: operand -1.
struct Offset {
  int operand = -1;
  DType dtype = DType::i32;
  int64_t source = 0, target = 0;  ///< strides
  int64_t low = 0, high = 0;       ///< range of the numbers
  int64_t each = 0;                ///< neighbouring elements that share a number; 0: all
};

/// Elements of `shape` from strided places of an operand to strided places of the result.
struct Move {
  size_t operand = 0;
  Shape shape;
  Strides source, target;
  int64_t first = 0;  ///< of the result
  Offset offset;
};

/// The same elements in fewer dimensions, at least one: the innermost are merged where both sides allow it.
Move merged(const Move& m) {
  Move out = m;
  out.shape.resize(0);
  out.source.resize(0);
  out.target.resize(0);
  for (int i = 0; i < m.shape.rank(); ++i) {
    if (m.shape[i] == 1) continue;
    const int last = out.shape.rank() - 1;
    if (last >= 0 && out.source[last] == m.source[i] * m.shape[i] && out.target[last] == m.target[i] * m.shape[i]) {
      out.shape[last] *= m.shape[i];
      out.source[last] = m.source[i];
      out.target[last] = m.target[i];
      continue;
    }
    out.shape.push_back(m.shape[i]);
    out.source.push_back(m.source[i]);
    out.target.push_back(m.target[i]);
  }
  if (out.shape.rank() == 0) {
    out.shape.push_back(1);
    out.source.push_back(1);
    out.target.push_back(1);
  }
  return out;
}

int64_t pack_of_move(const Move& m, size_t element) {
  if (m.source.back() != 1 || m.target.back() != 1 || m.shape.numel() == 0) return 1;
  int64_t divisor = std::gcd(m.shape.back(), m.first);
  for (int i = 0; i + 1 < m.shape.rank(); ++i) divisor = std::gcd(divisor, std::gcd(m.source[i], m.target[i]));
  if (m.offset.each != 0) divisor = std::gcd(divisor, std::gcd(m.offset.each, m.offset.target));
  return pack_of(divisor, element);
}

Launch move_launch(const KernelRequest& request, const Move& move) {
  const Move m = merged(move);
  const DType dtype = request.outputs[0].dtype;
  const int64_t count = m.shape.numel(), pack = pack_of_move(m, size_of(dtype));
  KernelText text;
  text.type("T", raw_dtype(dtype)).number("PACK", pack).number("RANK", m.shape.rank()).number("WIDE", is_wide(count));
  text.number("OFFSET_IN", m.offset.operand).type("OFFSET", m.offset.dtype).number("BY_ROW", m.offset.each != 0 ? 1 : 0);
  std::vector<int64_t> sizes = {
      count, static_cast<int64_t>(m.operand), m.first, m.offset.source, m.offset.target, m.offset.low, m.offset.high, m.offset.each};
  for (const Dims* dims : {static_cast<const Dims*>(&m.shape), static_cast<const Dims*>(&m.source), static_cast<const Dims*>(&m.target)}) {
    sizes.insert(sizes.end(), dims->begin(), dims->end());
  }
  Launch launch = launch_file(request, text, "move", std::move(sizes), blocks_for(count / pack), 256);
  if (m.offset.operand >= 0) launch.what_fails = "offset";
  return launch;
}

double twice_bytes(const OperandSpec& moved) {
  return 2 * static_cast<double>(moved.shape.numel()) * static_cast<double>(size_of(moved.dtype));
}

}  // namespace

PreparedOp prepare_concat(const KernelRequest& request) {
  refuse_f64(request);
  const Strides target = contiguous_strides(request.outputs[0].shape);
  const auto axis = static_cast<int>(request.attrs[attr::concat::axis]);
  std::vector<Launch> launches;
  int64_t first = 0;
  for (size_t k = 0; k < request.inputs.size(); ++k) {
    const OperandSpec& part = request.inputs[k];
    if (part.shape.numel() != 0) launches.push_back(move_launch(request, {k, part.shape, part.strides, target, first, {}}));
    first += part.shape[axis] * target[axis];
  }
  return make_op(request, "concat", std::move(launches), 0);
}

PreparedOp prepare_pad(const KernelRequest& request) {
  refuse_f64(request);
  Shape x = request.inputs[0].shape, out = request.outputs[0].shape;
  Strides strides = request.inputs[0].strides;
  std::vector<int64_t> low(request.attrs.list.span().begin(), request.attrs.list.span().begin() + x.rank());
  if (x.rank() == 0) {
    x.push_back(1);
    out.push_back(1);
    strides.push_back(1);
    low.push_back(0);
  }
  const int64_t count = out.numel();
  std::vector<int64_t> sizes = {count};
  for (const std::span<const int64_t> list : {out.span(), std::span<const int64_t>(low), x.span(), strides.span()}) {
    sizes.insert(sizes.end(), list.begin(), list.end());
  }
  KernelText text;
  text.type("T", raw_dtype(request.outputs[0].dtype)).number("RANK", x.rank()).number("WIDE", is_wide(count));
  return make_op(request, "pad", {launch_file(request, text, "pad", std::move(sizes), blocks_for(count), 256)}, 0);
}

PreparedOp prepare_slice_update(const KernelRequest& request) {
  namespace in = operand::slice_update;
  refuse_f64(request);
  if (const uint32_t strided = strided_operands(request, 4)) return ask_for_contiguous(strided);
  const OperandSpec& update = request.inputs[in::update];
  const Shape& x = request.inputs[0].shape;
  const auto list = request.attrs.list.span();
  const Shape& offset = request.inputs[in::offset].shape;
  const int64_t each = offset.rank() == 0 ? 0 : update.shape.numel() / std::max<int64_t>(offset[0], 1);
  const Strides row_major = contiguous_strides(x);
  Move m{1, update.shape, update.strides, row_major, 0, {}};
  for (int i = 0; i < x.rank(); ++i) {
    const int64_t start = list[static_cast<size_t>(i)], step = list[static_cast<size_t>(i + x.rank())];
    const int64_t end = start + (update.shape[i] - 1) * step;
    m.first += start * row_major[i];
    m.target[i] *= step;
    if (i == static_cast<int>(request.attrs[attr::slice_update::offset_axis])) {
      m.offset = {2, request.inputs[in::offset].dtype, 0, row_major[i], -std::min(start, end), x[i] - 1 - std::max(start, end), each};
    }
  }
  std::vector<Launch> launches;
  if (update.shape.numel() != 0) launches.push_back(move_launch(request, m));
  PreparedOp op = make_op(request, "slice_update", std::move(launches), 0);
  op.bytes = twice_bytes(update);
  op.in_place = {0};
  return op;
}

PreparedOp prepare_slice_at(const KernelRequest& request) {
  refuse_f64(request);
  const auto axis = static_cast<int>(request.attrs[attr::slice_at::axis]);
  const OperandSpec &x = request.inputs[0], &out = request.outputs[0];
  Move m{0, out.shape, x.strides, contiguous_strides(out.shape), 0, {}};
  m.offset = {1, request.inputs[operand::slice_at::offset].dtype, x.strides[axis], 0, 0, x.shape[axis] - out.shape[axis]};
  PreparedOp op = make_op(request, "slice_at", {move_launch(request, m)}, 0);
  op.bytes = twice_bytes(out);
  return op;
}

PreparedOp prepare_one_hot(const KernelRequest& request) {
  refuse_f64(request);
  if (const uint32_t strided = strided_operands(request)) return ask_for_contiguous(strided);
  const int64_t rows = request.inputs[0].shape.numel(), classes = request.attrs[attr::one_hot::classes];
  KernelText text;
  text.type("T", request.outputs[0].dtype).type("INDEX", request.inputs[0].dtype);
  Launch launch = launch_file(request, text, "one_hot", {rows, classes}, blocks_for(std::max(rows, rows * classes)), 256);
  launch.what_fails = "index";
  return make_op(request, "one_hot", {std::move(launch)}, 0);
}

}  // namespace lazuli::cuda
