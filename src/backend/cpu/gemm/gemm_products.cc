// Blocks of products that oneDNN computes.
#include "backend/cpu/common/thresholds.h"
#include "backend/cpu/gemm/gemm.h"
#include "backend/cpu/gemm/gemm_pieces.h"

namespace lazuli::cpu {

namespace {

using threshold::blocks::kColumns;
using threshold::blocks::kFewest;
using threshold::blocks::kRows;

}  // namespace

void Gemm::choose_products() {
  const GemmTerm& term = spec_.terms[0];
  const bool bf16 = term.a.dtype == DType::bf16 && term.b.dtype == DType::bf16 && spec_.out == DType::bf16;
  if (way_ != Way::packed || swapped_ || !bf16 || term.a.column != 1 || std::min({spec_.m, spec_.n, term.k}) < kFewest) return;
  // Further terms are added in whole panels, to sums whose rows follow each other without a gap.
  if (spec_.terms.size() > 1 && spec_.n % kPanel != 0) return;
  const int64_t rows = divide_up(spec_.m, divide_up(spec_.m, kRows));
  const int64_t columns = term.b.row == 1 ? std::min(spec_.n, kColumns) : spec_.n;
  const int64_t last_rows = spec_.m % rows, last_columns = spec_.n % columns;
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 2; ++j) {
      const BlockProduct::Shape shape{
          i == 0 ? rows : last_rows, j == 0 ? columns : last_columns, term.k, term.a.row, term.b.row, term.b.column};
      if (shape.rows == 0 || shape.columns == 0) continue;
      products_[i][j] = BlockProduct::make(shape);
      if (products_[i][j] == nullptr) return;
      product_scratch_ = std::max(product_scratch_, products_[i][j]->scratch_bytes());
    }
  }
  way_ = Way::blocks;
  block_rows_ = rows;
  block_columns_ = columns;
}

}  // namespace lazuli::cpu
