// Products over a weight whose panels are kept: what qualifies, and the transposed product that reads panels as its left side.
#include <algorithm>
#include <utility>

#include "backend/cpu/common/thresholds.h"
#include "backend/cpu/gemm/gemm_stages.h"

namespace lazuli::cpu::gemm {

namespace {

using threshold::kept::kMostTransposedFloats;
using threshold::kept::kTransposedColumns;
using threshold::kept::kTransposedSums;

void choose_transposed_blocks(GemmCut& cut) {
  const GemmSpec& spec = cut.spec;
  GemmBlocks& blocks = cut.blocks;
  blocks.height = divide_up(spec.m, divide_up(spec.m, cut.f32.max_rows));
  blocks.columns = std::min(round_up(divide_up(spec.n, divide_up(spec.n, kTransposedColumns)), kPanel), round_up(spec.n, kPanel));
  const int64_t row_panels = divide_up(spec.m, blocks.height);
  int64_t high = std::clamp<int64_t>(kTransposedSums / blocks.columns / blocks.height, 1, row_panels);
  // Enough of them for threads that do not run alike.
  high = std::min(high, divide_up(row_panels, 8));
  blocks.rows = high * blocks.height;
  blocks.row_blocks = divide_up(spec.m, blocks.rows);
  blocks.column_blocks = divide_up(spec.n, blocks.columns);
}

}  // namespace

void choose_kept(GemmCut& cut) {
  const GemmTerm& first = cut.spec.terms[0];
  if (!cut.spec.keeps_panels || cut.way != GemmWay::packed || cut.swapped || first.b.dtype != DType::f32 ||
      cut.spec.a_offsets.size() != 1 || cut.flops() < threshold::kept::kLeastFlops) {
    return;
  }
  if (first.b.row == 1 && first.b.column == first.k) {
    cut.kept.by = PackedWeight::By::rows;
    cut.kept.rows = cut.spec.n;
    cut.kept.columns = first.k;
  } else if (first.b.column == 1 && first.b.row == cut.spec.n) {
    cut.kept.by = PackedWeight::By::columns;
    cut.kept.rows = first.k;
    cut.kept.columns = cut.spec.n;
  }
}

std::shared_ptr<const GemmCut> choose_transposed(const GemmCut& straight) {
  if (straight.kept.by == PackedWeight::By::nothing || !straight.spec.transposes) return nullptr;
  int64_t k = 0;
  for (const GemmTerm& term : straight.spec.terms) k += round_up(term.k, kChunk);
  if (round_up(straight.spec.m, kPanel) * k > kMostTransposedFloats) return nullptr;
  const auto cut = std::make_shared<GemmCut>(straight.spec, straight.tuning, straight.f32);
  cut->is_transposed = true;
  std::swap(cut->spec.m, cut->spec.n);
  for (GemmTerm& t : cut->spec.terms) t = {t.b.transposed(), t.a.transposed(), t.k};
  choose_kernels(*cut);
  choose_transposed_blocks(*cut);
  choose_packing(*cut);
  return cut;
}

/// With several blocks of rows, pack() fills panels.
Kept claim_panels(const GemmCut& cut, const GemmPointers& pointers, PackedWeight* weight, const Block& block) {
  Kept kept{weight, 0};
  if (weight == nullptr || cut.is_transposed || cut.blocks.row_blocks != 1) return kept;
  for (int64_t j = 0; j < block.columns; j += kPanel) {
    const int64_t k = pointers.first_panel + (block.column + j) / kPanel;
    if (!weight->done(k) && weight->claim(k)) kept.claimed |= uint64_t{1} << (j / kPanel);
  }
  return kept;
}

void panels_done(const GemmPointers& pointers, const Kept& kept, const Block& block) {
  for (int64_t k = 0; k * kPanel < block.columns && kept.claimed != 0; ++k) {
    if ((kept.claimed >> k & 1) != 0) kept.weight->fill_done(pointers.first_panel + block.column / kPanel + k);
  }
}

/// The first term. A few rows of the weight stay in the first-level cache while all panels of the right side pass by.
void run_transposed(const GemmCut& cut, const GemmPointers& pointers, const PackedWeight& weight, const Sums& sums, const Block& block) {
  const int64_t all = cut.spec.terms[0].k, piece = piece_of(all, cut.tuning.piece_of_k);
  const int64_t panels = divide_up(block.columns, kPanel), tiles = panels * divide_up(block.rows, cut.blocks.height);
  for (int64_t p = 0; p < all; p += piece) {
    const int64_t k = std::min(piece, all - p), next_k = std::min(piece, all - p - k);
    // The next piece of the right side comes nearer meanwhile.
    Ahead ahead;
    if (next_k > 0) {
      const float* const next = shared_right(cut, pointers, 0, p + k, block.column);
      const int64_t lines = next_k * kPanel * static_cast<int64_t>(sizeof(float)) / 64;
      const int64_t row_bytes = round_up(all, kChunk) * kPanel * static_cast<int64_t>(sizeof(float));
      ahead = {reinterpret_cast<const std::byte*>(next), lines, row_bytes, lines * panels, 0, 0};
      ahead.at_once = divide_up(ahead.left, tiles * divide_up(k, kChunk));
    }
    for (int64_t i = 0; i < block.rows; i += cut.blocks.height) {
      const auto h = static_cast<size_t>(std::min(cut.blocks.height, block.rows - i));
      const float* const rows = weight.panel(pointers.first_panel + p / kPanel) + (block.row + i) * kPanel;
      for (int64_t j = 0; j < block.columns; j += kPanel) {
        cut.f32.transposed[h]({rows, shared_right(cut, pointers, 0, p, block.column + j), kPanel, kChunk, sums.data + i * sums.ld + j,
                               sums.ld, kChunk, k, p > 0, &ahead, weight.panel_floats()});
      }
    }
  }
}

}  // namespace lazuli::cpu::gemm
