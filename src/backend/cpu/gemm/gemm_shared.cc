// Packing of whole operands, once for all tasks of a product.
#include <algorithm>

#include "backend/cpu/common/thresholds.h"
#include "backend/cpu/gemm/gemm_stages.h"

namespace lazuli::cpu::gemm {

namespace {

using threshold::gemm::kLargeFlops;
using threshold::gemm::kMostLeftFloats;
using threshold::gemm::kMostRightFloats;
using threshold::gemm::kPackFloats;

}  // namespace

void choose_packing(GemmCut& cut) {
  if (cut.way != GemmWay::packed || cut.spec.a_offsets.size() != 1 || (cut.flops() < kLargeFlops && !cut.is_transposed)) return;
  int64_t left = 0, right = 0, k = 0;
  for (const GemmTerm& term : cut.spec.terms) {
    left += cut.spec.m * round_up(term.k, kChunk);
    right += round_up(cut.spec.n, kPanel) * round_up(term.k, kChunk);
    k += round_up(term.k, kChunk);
  }
  if (k == 0) return;
  int64_t at = 0;
  if (cut.blocks.column_blocks > 1 && left <= kMostLeftFloats && !cut.is_transposed) {
    cut.packing.rows = cut.blocks.height * divide_up(kPackFloats, cut.blocks.height * k);
    cut.packing.left_tasks = divide_up(cut.spec.m, cut.packing.rows);
    for (size_t t = 0; t < cut.spec.terms.size(); ++t) {
      cut.packing.left_start[t] = at;
      at += cut.spec.m * round_up(cut.spec.terms[t].k, kChunk);
    }
  }
  if ((cut.blocks.row_blocks > 1 && right <= kMostRightFloats) || cut.is_transposed) {
    cut.packing.columns = kPanel * divide_up(kPackFloats, kPanel * k);
    cut.packing.right_tasks = divide_up(cut.spec.n, cut.packing.columns);
    for (size_t t = 0; t < cut.spec.terms.size(); ++t) {
      cut.packing.right_start[t] = at;
      at += round_up(cut.spec.n, kPanel) * round_up(cut.spec.terms[t].k, kChunk);
    }
  }
  cut.packing.floats = at;
}

float* shared_left(const GemmCut& cut, const GemmPointers& pointers, size_t term, int64_t first_k, int64_t row) {
  const int64_t k = std::min(cut.piece(term), cut.spec.terms[term].k - first_k);
  return (pointers.left != nullptr ? pointers.left : pointers.shared) + cut.packing.left_start[term] + first_k * cut.spec.m +
         row * round_up(k, kChunk);
}

float* shared_right(const GemmCut& cut, const GemmPointers& pointers, size_t term, int64_t first_k, int64_t column) {
  return pointers.shared + cut.packing.right_start[term] + column * round_up(cut.spec.terms[term].k, kChunk) + first_k * kPanel;
}

void pack_panels(const GemmCut& cut, const GemmPointers& pointers, PackedWeight* weight, int64_t begin, int64_t end) {
  for (int64_t task = begin; task < end; ++task) {
    const bool is_left = task < cut.packing.left_tasks;
    const int64_t first = is_left ? task * cut.packing.rows : (task - cut.packing.left_tasks) * cut.packing.columns;
    for (size_t t = 0; t < cut.spec.terms.size(); ++t) {
      const int64_t k = cut.spec.terms[t].k, piece = piece_of(k, cut.tuning.piece_of_k);
      if (is_left) {
        const int64_t rows = std::min(cut.packing.rows, cut.spec.m - first);
        for (int64_t p = 0; p < k; p += piece) {
          const MatrixRef a = left(cut, pointers, t, {0, first, rows, 0, 0}, p);
          cut.kernels[t].a.pack_left(a, rows, std::min(piece, k - p), cut.blocks.height, shared_left(cut, pointers, t, p, first));
        }
        continue;
      }
      const int64_t last = std::min(first + cut.packing.columns, cut.spec.n);
      for (int64_t j = first; j < last; j += kPanel) {
        const bool kept = weight != nullptr && t == 0;
        const int64_t panel_at = pointers.first_panel + j / kPanel;
        if (kept && weight->done(panel_at)) continue;
        const bool fills = kept && weight->claim(panel_at);
        const MatrixRef b = right(cut, pointers, t, {0, 0, 0, j, 0}, 0, 0);
        float* const panel = fills ? weight->panel(panel_at) : shared_right(cut, pointers, t, 0, j);
        cut.kernels[t].b.pack_right(b, k, std::min(kPanel, last - j), panel);
        if (fills) weight->fill_done(panel_at);
      }
    }
  }
}

}  // namespace lazuli::cpu::gemm
