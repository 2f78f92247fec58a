// Stores keys or values in pages. Elements are moved by size.
#include "graph/ops/page_update.h"

#include <numeric>

#include "backend/backend.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/raw.h"

namespace lazuli::cuda {

PreparedOp prepare_page_update(const KernelRequest& request) {
  namespace in = operand::page_update;
  refuse_f64(request);
  const OperandSpec &pool = request.inputs[0], &x = request.inputs[in::x], &offset = request.inputs[in::offset];
  uint32_t strided = strided_operands(request, 12);
  if (x.shape[3] > 1 && x.strides[3] != 1) strided |= 2;
  if (strided != 0) return ask_for_contiguous(strided);
  const int64_t count = x.shape.numel(), element = static_cast<int64_t>(size_of(x.dtype));
  int64_t divisor = x.shape[3];
  for (int i = 0; i < 3; ++i) divisor = std::gcd(divisor, x.strides[i]);
  const int64_t pack = count == 0 ? 1 : pack_of(divisor, static_cast<size_t>(element));
  KernelText text;
  text.type("T", raw_dtype(x.dtype)).number("PACK", pack).number("WIDE", is_wide(count));
  text.type("OFFSET", offset.dtype).number("BY_ROW", offset.shape.rank() != 0 ? 1 : 0);
  std::vector<int64_t> sizes = {count,        x.shape[1], x.shape[2], x.shape[3], pool.shape[2], request.inputs[in::blocks].shape[1],
                                pool.shape[0]};
  sizes.insert(sizes.end(), x.strides.begin(), x.strides.begin() + 3);
  std::vector<Launch> launches;
  if (count != 0) {
    launches.push_back(launch_file(request, text, "page_update", std::move(sizes), blocks_for(count / pack), 256));
    launches[0].what_fails = "position or block";
  }
  PreparedOp op = make_op(request, "page_update", std::move(launches), 0);
  op.bytes = 2 * static_cast<double>(count * element);
  op.in_place = {0};
  return op;
}

}  // namespace lazuli::cuda
