#include "backend/cuda/fixed_product.h"

#include <limits>

#include "backend/cuda/thresholds.h"

namespace lazuli::cuda {

namespace {

/// Of a block of fixed_product_mma.cu. Every one adds in the same order, so the choice among them may look at the number of rows.
struct MmaTile {
  int64_t warps_down, warps_across, pieces_down, pieces_across, depth;  ///< WM, WN, MI, NI, TK
  int64_t rows() const { return 16 * warps_down * pieces_down; }
  int64_t columns() const { return 8 * warps_across * pieces_across; }
  int64_t tiles(const ProductSizes& s) const { return (s.m + rows() - 1) / rows() * ((s.n + columns() - 1) / columns()) * s.batches; }
};
constexpr MmaTile kFewRows{1, 2, 1, 2, 128}, kSmall{2, 2, 2, 4, 64}, kLarge{4, 2, 2, 8, 32};
constexpr int64_t kStages = 3;
using threshold::fixed::kBusy;

MmaTile mma_tile(const ProductSizes& s) {
  if (s.m <= threshold::fixed::kFewRows) return kFewRows;
  return kLarge.tiles(s) >= kBusy ? kLarge : kSmall;
}

bool is_half(DType dtype) { return dtype == DType::bf16 || dtype == DType::f16; }

/// Where the shared memory of a block holds rows of the matrix; columns otherwise.
bool by_rows(int64_t row_stride, int64_t column_stride) { return column_stride == 1 || row_stride != 1; }

int64_t blocks_of(int64_t tiles) { return blocks_for(tiles, 1, std::numeric_limits<int32_t>::max()); }

}  // namespace

Launch fixed_product_launch(const KernelRequest& request, const Product& p) {
  const ProductSizes s(p);
  const bool a_rows = by_rows(s.a_row, s.a_column), b_rows = by_rows(s.b_row, s.b_column);
  Launch launch;
  launch.sizes = s.numbers;
  const std::string_view batches = kernel_file("batches");
  KernelText text;
  text.type("R", p.result_dtype).number("A_ROWS", a_rows).number("B_ROWS", b_rows);
  if (is_half(p.a.spec.dtype) && p.a.spec.dtype == p.b.spec.dtype) {
    const MmaTile tile = mma_tile(s);
    text.type("T", p.a.spec.dtype).number("WM", tile.warps_down).number("WN", tile.warps_across).number("MI", tile.pieces_down);
    text.number("NI", tile.pieces_across).number("TK", tile.depth).number("STAGES", kStages);
    launch.block = static_cast<uint32_t>(32 * tile.warps_down * tile.warps_across);
    launch.grid[0] = static_cast<uint32_t>(blocks_of(tile.tiles(s)));
    // Stored rows are 16 bytes longer than their elements.
    const auto bytes = [&](bool along_depth, int64_t extent) {
      return along_depth ? extent * (2 * tile.depth + 16) : tile.depth * (2 * extent + 16);
    };
    launch.shared_bytes = static_cast<uint32_t>(kStages * (bytes(a_rows, tile.rows()) + bytes(!b_rows, tile.columns())));
    return with_text(request, p, std::move(launch), text,
                     std::string(kernel_file("mma")).append(batches).append(kernel_file("fixed_product_mma")));
  }
  const int64_t held = s.m <= threshold::fixed::kFewRows ? 1 : 4;
  text.type("A", p.a.spec.dtype).type("B", p.b.spec.dtype).number("HELD", held);
  launch.block = 256;
  launch.grid[0] = static_cast<uint32_t>(blocks_of((s.m + 16 * held - 1) / (16 * held) * ((s.n + 63) / 64) * s.batches));
  return with_text(request, p, std::move(launch), text, std::string(batches).append(kernel_file("fixed_product")));
}

}  // namespace lazuli::cuda
