// Rotary position embedding on the cuda backend; x is read where it lies when its last axis is contiguous.
#include <limits>

#include "backend/cuda/kernels.h"
#include "backend/cuda/row_share.h"

namespace lazuli::cuda {

PreparedOp prepare_rope(const KernelRequest& request) {
  refuse_f64(request);
  const OperandSpec& x = request.inputs[0];
  const int last = x.shape.rank() - 1;
  uint32_t strided = strided_operands(request, 6);
  if (x.shape[last] > 1 && x.strides[last] != 1) strided |= 1;
  if (strided != 0) return ask_for_contiguous(strided);
  const int64_t size = x.shape[last], half = request.inputs[1].shape[1], total = x.shape.numel();
  std::vector<int64_t> sizes = {size == 0 ? 0 : total / size, x.shape[last - 1], size, half, request.inputs[1].shape[0]};
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
  sizes.insert(sizes.end(), dims.begin(), dims.end());
  sizes.insert(sizes.end(), strides.begin(), strides.end());
  KernelText text;
  text.type("T", x.dtype).type("TABLE", request.inputs[1].dtype).number("BACK", request.attrs.i[0] != 0 ? 1 : 0);
  text.number("WIDE", total > std::numeric_limits<int32_t>::max() ? 1 : 0).number("RANK", static_cast<int64_t>(dims.size()));
  text.number("SHARE", 0);
  Launch launch;
  launch.source = row_text(request, text, "rope", sizes.size());
  launch.block = 256;
  launch.grid = {blocks_for(total * static_cast<int64_t>(size_of(x.dtype)) / 32, launch.block), 1, 1};
  launch.sizes = std::move(sizes);
  launch.what_fails = "position";
  PreparedOp op = make_op(request, "rope", {std::move(launch)}, 3);
  if (x.contiguous) op.in_place = {0};
  return op;
}

}  // namespace lazuli::cuda
