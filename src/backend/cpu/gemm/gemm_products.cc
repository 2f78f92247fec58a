// Blocks of products that oneDNN computes.
#include "backend/cpu/common/thresholds.h"
#include "backend/cpu/gemm/gemm_cut.h"

namespace lazuli::cpu::gemm {

namespace {

using threshold::blocks::kColumns;
using threshold::blocks::kFewest;
using threshold::blocks::kRows;

}  // namespace

void choose_products(GemmCut& cut) {
  const GemmTerm& term = cut.spec.terms[0];
  const bool bf16 = term.a.dtype == DType::bf16 && term.b.dtype == DType::bf16 && cut.spec.out == DType::bf16;
  if (cut.way != GemmWay::packed || cut.swapped || !bf16 || term.a.column != 1 || std::min({cut.spec.m, cut.spec.n, term.k}) < kFewest)
    return;
  // Further terms are added in whole panels, to sums whose rows follow each other without a gap.
  if (cut.spec.terms.size() > 1 && cut.spec.n % kPanel != 0) return;
  const int64_t rows = divide_up(cut.spec.m, divide_up(cut.spec.m, kRows));
  const int64_t columns = term.b.row == 1 ? std::min(cut.spec.n, kColumns) : cut.spec.n;
  const int64_t last_rows = cut.spec.m % rows, last_columns = cut.spec.n % columns;
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 2; ++j) {
      const BlockProduct::Shape shape{
          i == 0 ? rows : last_rows, j == 0 ? columns : last_columns, term.k, term.a.row, term.b.row, term.b.column};
      if (shape.rows == 0 || shape.columns == 0) continue;
      cut.products[i][j] = BlockProduct::make(shape);
      if (cut.products[i][j] == nullptr) return;
      cut.product_scratch = std::max(cut.product_scratch, cut.products[i][j]->scratch_bytes());
    }
  }
  cut.way = GemmWay::blocks;
  cut.blocks.rows = rows;
  cut.blocks.columns = columns;
}

}  // namespace lazuli::cpu::gemm
