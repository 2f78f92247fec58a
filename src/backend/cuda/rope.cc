// Rotary position embedding on the cuda backend; x is read where it lies when its last axis is contiguous.
#include "graph/ops/rope.h"

#include <algorithm>
#include <limits>

#include "backend/backend.h"
#include "backend/cuda/row_share.h"

namespace lazuli::cuda {

namespace {

/// What the kernel knows of an operand: rows, tokens, size, half, positions, rows of an offset, then dims before the last and their
/// strides.
struct Numbers {
  std::vector<int64_t> sizes;
  int64_t rank;
};

Numbers numbers_of(const OperandSpec& x, const OperandSpec& table, const OperandSpec& offset) {
  const int last = x.shape.rank() - 1;
  const int64_t size = x.shape[last], rows = size == 0 ? 0 : x.shape.numel() / size;
  const int64_t rows_each = rows / std::max<int64_t>(offset.shape.numel(), 1);
  Numbers numbers{{rows, x.shape[last - 1], size, table.shape[1], table.shape[0], rows_each}, 0};
  // Neighbouring axes that lie as one are one axis.
  std::vector<int64_t> dims, strides;
  for (int d = 0; d < last; ++d) {
    if (!dims.empty() && strides.back() == x.strides[d] * x.shape[d]) {
      dims.back() *= x.shape[d];
      strides.back() = x.strides[d];
    } else {
      dims.push_back(x.shape[d]);
      strides.push_back(x.strides[d]);
    }
  }
  numbers.rank = static_cast<int64_t>(dims.size());
  numbers.sizes.insert(numbers.sizes.end(), dims.begin(), dims.end());
  numbers.sizes.insert(numbers.sizes.end(), strides.begin(), strides.end());
  return numbers;
}

/// `count` operands before the tables are rotated.
PreparedOp prepare(const KernelRequest& request, const char* name, size_t count) {
  refuse_f64(request);
  uint32_t strided = strided_operands(request, 7u << count);
  for (size_t k = 0; k < count; ++k) {
    const OperandSpec& x = request.inputs[k];
    const int last = x.shape.rank() - 1;
    if (x.shape[last] > 1 && x.strides[last] != 1) strided |= 1u << k;
  }
  if (strided != 0) return ask_for_contiguous(strided);
  const DType dtype = request.inputs[0].dtype;
  KernelText text;
  text.type("T", dtype).type("TABLE", request.inputs[count].dtype).number("BACK", request.attrs[attr::rope::back] != 0 ? 1 : 0);
  text.number("COUNT", static_cast<int64_t>(count)).number("SHARE", 0);
  text.number("BY_ROW", request.inputs[count + 2].shape.rank());
  Launch launch;
  int64_t most = 0;
  std::vector<int> in_place;
  for (size_t k = 0; k < count; ++k) {
    const OperandSpec& x = request.inputs[k];
    const Numbers numbers = numbers_of(x, request.inputs[count], request.inputs[count + 2]);
    text.number(k == 0 ? "RANK" : "RANK2", numbers.rank);
    launch.sizes.insert(launch.sizes.end(), numbers.sizes.begin(), numbers.sizes.end());
    most = std::max(most, x.shape.numel());
    in_place.push_back(x.contiguous ? static_cast<int>(k) : -1);
  }
  text.number("WIDE", most > std::numeric_limits<int32_t>::max() ? 1 : 0);
  launch.source = row_text(request, text, "rope", launch.sizes.size());
  launch.block = 256;
  launch.grid = {blocks_for(most * static_cast<int64_t>(size_of(dtype)) / 32, launch.block), 1, 1};
  launch.what_fails = "position";
  PreparedOp op = make_op(request, name, {std::move(launch)}, 3);
  op.in_place = std::move(in_place);
  return op;
}

}  // namespace

PreparedOp prepare_rope(const KernelRequest& request) { return prepare(request, "rope", 1); }
PreparedOp prepare_rope_pair(const KernelRequest& request) { return prepare(request, "rope_pair", 2); }

}  // namespace lazuli::cuda
