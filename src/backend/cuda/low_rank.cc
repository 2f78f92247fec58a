// Makes the launch that adds a product of low rank: a block for each tile of the result.
#include "backend/cuda/low_rank.h"

#include <algorithm>

#include "backend/cuda/thresholds.h"
#include "lazuli/determinism.h"

namespace lazuli::cuda {

namespace {

using threshold::low_rank::kFewestRows;
using threshold::low_rank::kMmaColumns;
using threshold::low_rank::kMmaRows;
using threshold::low_rank::kMostRanks;
using threshold::low_rank::kTile;

}  // namespace

Launch low_rank_launch(const KernelRequest& request, const LowRank& shape) {
  const auto bias = static_cast<size_t>(shape.bias_operand < 0 ? 0 : shape.bias_operand);
  const DType b = request.inputs[shape.b_operand].dtype;
  const bool on_tensor_cores =
      b == DType::bf16 && shape.base_offset < 0 && shape.rank <= kMostRanks && (shape.rows >= kFewestRows || deterministic());
  KernelText text;
  text.type("T", request.outputs[0].dtype).type("B", b);
  text.type("SCALE", request.inputs[shape.scale_operand].dtype).type("BIAS", request.inputs[bias].dtype);
  text.number("B_IN", static_cast<int64_t>(shape.b_operand)).number("SCALE_IN", static_cast<int64_t>(shape.scale_operand));
  text.number("BIAS_IN", shape.bias_operand);
  if (on_tensor_cores) {
    text.number("STEPS", std::max<int64_t>((shape.rank + 15) / 16, 1));
  } else {
    text.number("HAS_BASE", shape.base_offset >= 0);
  }
  const int64_t tile_rows = on_tensor_cores ? kMmaRows : kTile, tile_columns = on_tensor_cores ? kMmaColumns : kTile;
  const int64_t tiles = (shape.rows + tile_rows - 1) / tile_rows * ((shape.n + tile_columns - 1) / tile_columns);
  Launch launch;
  launch.sizes = {shape.rows,
                  shape.n,
                  shape.rank,
                  shape.base_offset,
                  shape.t_offset,
                  shape.b_rank_stride,
                  shape.b_column_stride,
                  shape.bias_row_stride,
                  shape.bias_column_stride};
  std::string body;
  if (on_tensor_cores) body = kernel_file("mma");
  launch.source = text.of_body(request, launch.sizes.size(), body.append(kernel_file(on_tensor_cores ? "low_rank_mma" : "low_rank")));
  launch.grid = {blocks_for(tiles, 1, 1 << 30), 1, 1};
  return launch;
}

}  // namespace lazuli::cuda
