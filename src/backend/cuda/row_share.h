// Defines RowShare, how many threads do a row in the kernels that follow kernels/rows.cu.
#pragma once

#include <algorithm>

#include "backend/cuda/launch.h"
#include "backend/cuda/thresholds.h"
#include "lazuli/determinism.h"

namespace lazuli::cuda {

struct RowShare {
  /// For rows of `count` elements of a dtype that are read in 16-byte packs: a warp for short rows, else a block. Few rows leave the card
  /// idle, so each gets a block, unless a row's sum must not depend on how many there are.
  RowShare(int64_t rows, int64_t count, DType dtype) {
    const int64_t packs = count * static_cast<int64_t>(size_of(dtype)) / 16;
    const bool few = rows <= threshold::rows::kFewRows && packs > threshold::rows::kFewPacks && !deterministic();
    share = packs <= threshold::rows::kPacksOfWarp && !few ? 32 : 0;
    block =
        share == 32 ? 128 : static_cast<uint32_t>(std::clamp<int64_t>(few ? (packs + 31) / 32 * 32 : (packs + 127) / 128 * 32, 64, 512));
    grid = blocks_for(rows, share == 32 ? block / 32 : 1);
  }
  int64_t share;  ///< SHARE of rows.cu
  uint32_t block;
  uint32_t grid;
};

/// kernels/rows.cu and then kernels/<file>.cu.
inline std::string row_text(const KernelRequest& request, KernelText text, std::string_view file, size_t sizes) {
  text.number("ANY_ADDRESS", deterministic() ? 1 : 0);
  return text.of_body(request, sizes, std::string(kernel_file("rows")) + std::string(kernel_file(file)));
}

inline Launch launch_rows(const KernelRequest& request, KernelText text, std::string_view file, std::vector<int64_t> sizes,
                          const RowShare& share) {
  Launch launch;
  text.number("SHARE", share.share);
  launch.source = row_text(request, text, file, sizes.size());
  launch.grid = {share.grid, 1, 1};
  launch.block = share.block;
  launch.sizes = std::move(sizes);
  return launch;
}

}  // namespace lazuli::cuda
