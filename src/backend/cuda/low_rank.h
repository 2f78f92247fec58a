// Defines LowRank, the last step of the lora ops: a product of low rank on top of a base.
#pragma once

#include "backend/cuda/launch.h"

namespace lazuli::cuda {

/// out[i,j] = base[i,j] + bias + scale * sum over r of t[i,r] * b[r,j]; the result is the op's first one, row-major. Base and t are f32,
/// row-major, in the step's scratch memory at offsets in bytes.
struct LowRank {
  int64_t rows = 0, n = 0, rank = 0;
  int64_t base_offset = -1;  ///< -1: no base
  int64_t t_offset = 0;
  size_t b_operand = 0;
  int64_t b_rank_stride = 0, b_column_stride = 0;
  int bias_operand = -1;  ///< -1: no bias
  int64_t bias_row_stride = 0, bias_column_stride = 0;
  size_t scale_operand = 0;
};

Launch low_rank_launch(const KernelRequest& request, const LowRank& shape);

}  // namespace lazuli::cuda
