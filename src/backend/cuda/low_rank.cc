// Makes the launch that adds a product of low rank: a block for each tile of 64 by 64.
#include "backend/cuda/low_rank.h"

namespace lazuli::cuda {

Launch low_rank_launch(const KernelRequest& request, const LowRank& shape) {
  constexpr int64_t kTile = 64;
  const auto bias = static_cast<size_t>(shape.bias_operand < 0 ? 0 : shape.bias_operand);
  KernelText text;
  text.type("T", request.outputs[0].dtype).type("B", request.inputs[shape.b_operand].dtype);
  text.type("SCALE", request.inputs[shape.scale_operand].dtype).type("BIAS", request.inputs[bias].dtype);
  text.number("B_IN", static_cast<int64_t>(shape.b_operand)).number("SCALE_IN", static_cast<int64_t>(shape.scale_operand));
  text.number("BIAS_IN", shape.bias_operand).number("HAS_BASE", shape.base_offset >= 0);
  const int64_t tiles = (shape.rows + kTile - 1) / kTile * ((shape.n + kTile - 1) / kTile);
  return launch_file(request, text, "low_rank",
                     {shape.rows, shape.n, shape.rank, shape.base_offset, shape.t_offset, shape.b_rank_stride, shape.b_column_stride,
                      shape.bias_row_stride, shape.bias_column_stride},
                     blocks_for(tiles, 1, 1 << 30), 256);
}

}  // namespace lazuli::cuda
