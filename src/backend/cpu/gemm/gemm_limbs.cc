// Products on the matrix unit. The side that all tasks read is split into limbs once; a task splits its part of the other side, piece by
// piece of k, while that part is in its cache.
#include <algorithm>
#include <cmath>
#include <thread>
#include <utility>

#include "backend/cpu/common/thresholds.h"
#include "backend/cpu/gemm/gemm_stages.h"
#include "backend/cpu/gemm/matrix_unit.h"

namespace lazuli::cpu::gemm {

namespace {

using threshold::limbs::kBlock;
using threshold::limbs::kLeastFlops;
using threshold::limbs::kMostSharedBytes;
using threshold::limbs::kPiece;
using threshold::limbs::kShortK;

float value(const void* data, const MatrixLayout& m, int64_t row, int64_t column) {
  const void* const v = advance(data, m.dtype, row * m.row + column * m.column);
  if (m.dtype == DType::bf16) return *static_cast<const bf16*>(v);
  if (m.dtype == DType::f16) return *static_cast<const f16*>(v);
  return *static_cast<const float*>(v);
}

/// Equal blocks of whole squares, `most` long at most.
int64_t block_of(int64_t n, int64_t most) {
  const int64_t squares = divide_up(n, kUnitBlock), blocks = divide_up(squares, most / kUnitBlock);
  return divide_up(squares, blocks) * kUnitBlock;
}

/// Not so much filling up that nothing is gained.
bool fills_squares(int64_t n) { return round_up(n, kUnitBlock) * 4 <= n * 5; }

/// From a piece of k on, those of 16 lines from `line` on.
std::byte* shared_limbs(const GemmCut& cut, const GemmPointers& pointers, size_t term, int64_t first_k, int64_t line) {
  const int64_t groups = 2 * cut.packing.left_tasks;
  auto* at = reinterpret_cast<std::byte*>(pointers.left != nullptr ? pointers.left : pointers.shared);
  for (size_t t = 0; t < term; ++t) at += limb_bytes(limbs_of(cut.shared_side(t).dtype), groups, cut.spec.terms[t].k);
  const int limbs = limbs_of(cut.shared_side(term).dtype);
  const int64_t k = std::min(kPiece, cut.spec.terms[term].k - first_k);
  return at + limb_bytes(limbs, groups, first_k) + limb_bytes(limbs, line / kUnitRows, k);
}

/// A task of the packing.
void split_lines(const GemmCut& cut, const GemmPointers& pointers, int64_t task) {
  const int64_t first = task * kUnitBlock, lines = std::min(kUnitBlock, (cut.is_transposed ? cut.spec.n : cut.spec.m) - first);
  for (size_t t = 0; t < cut.spec.terms.size(); ++t) {
    const MatrixLayout& side = cut.shared_side(t);
    const void* const data = cut.is_transposed ? pointers.b[t] : pointers.a[t];
    for (int64_t p = 0; p < cut.spec.terms[t].k; p += kPiece) {
      const int64_t line = cut.is_transposed ? side.column : side.row, step = cut.is_transposed ? side.row : side.column;
      cut.limbs->split({advance(data, side.dtype, first * line + p * step), side.dtype, line, step}, cut.is_transposed, lines,
                       std::min(kPiece, cut.spec.terms[t].k - p), shared_limbs(cut, pointers, t, p, first));
    }
  }
}

/// What the block will split after that piece of k, to be asked for while the piece is multiplied; or what the block after it will.
Ahead next_to_split(const GemmCut& cut, const GemmPointers& pointers, size_t term, const Block& block, int64_t next_k) {
  Block from = block;
  if (next_k >= cut.spec.terms[term].k) {
    const bool more =
        cut.is_transposed ? block.row + block.rows < cut.spec.m : cut.blocks.row_blocks == 1 && block.column + block.columns < cut.spec.n;
    if (term + 1 < cut.spec.terms.size() || !more) return {};
    from = cut.is_transposed
               ? Block{0, block.row + block.rows, std::min(cut.blocks.rows, cut.spec.m - block.row - block.rows), 0, 0}
               : Block{0, 0, 0, block.column + block.columns, std::min(cut.blocks.columns, cut.spec.n - block.column - block.columns)};
    term = 0;
    next_k = 0;
  }
  const GemmTerm& next = cut.spec.terms[term];
  const MatrixLayout& side = cut.is_transposed ? next.a : next.b;
  const MatrixRef at = cut.is_transposed ? left(cut, pointers, term, from, next_k) : right(cut, pointers, term, from, next_k, 0);
  const int64_t lines = cut.is_transposed ? from.rows : from.columns, k = std::min(kPiece, next.k - next_k);
  const bool along = (cut.is_transposed ? side.column : side.row) == 1;
  const auto size = static_cast<int64_t>(size_of(side.dtype));
  const int64_t rows = along ? lines : k, row_lines = divide_up((along ? k : lines) * size, 64);
  const int64_t stride = (cut.is_transposed == along ? side.row : side.column) * size;
  return {static_cast<const std::byte*>(at.data), row_lines, stride, rows * row_lines, 0, 0};
}

/// Limbs of infinities, and of values that bf16 rounds to infinity, add up to NaN.
void mend(const GemmCut& cut, const GemmPointers& pointers, const Sums& sums, const Block& block) {
  if (!cut.limbs->any_nan(sums.data, sums.ld, block.rows, block.columns)) return;
  for (int64_t i = 0; i < block.rows; ++i) {
    for (int64_t j = 0; j < block.columns; ++j) {
      float& sum = sums.data[i * sums.ld + j];
      if (!std::isnan(sum)) continue;
      sum = 0;
      for (size_t t = 0; t < cut.spec.terms.size(); ++t) {
        const GemmTerm& term = cut.spec.terms[t];
        for (int64_t p = 0; p < term.k && !std::isnan(sum); ++p) {
          sum += value(pointers.a[t], term.a, block.row + i, p) * value(pointers.b[t], term.b, p, block.column + j);
        }
      }
    }
  }
}

}  // namespace

/// The left side as given is shared. Where k runs along the other side, the product is transposed: tiles of a left side are made of such
/// lines as they are, tiles of a right side are not.
void choose_limbs(GemmCut& cut) {
  if (cut.way != GemmWay::packed || cut.swapped || cut.spec.a_offsets.size() != 1 || cut.flops() < kLeastFlops) return;
  if (std::min(cut.spec.m, cut.spec.n) < cut.tuning.matrix_unit_rows || !fills_squares(cut.spec.m) || !fills_squares(cut.spec.n)) return;
  if (cut.spec.terms[0].k < kShortK) return;
  size_t shared = 0;
  for (const GemmTerm& t : cut.spec.terms) {
    if ((t.a.row != 1 && t.a.column != 1) || (t.b.row != 1 && t.b.column != 1)) return;
    shared += limb_bytes(limbs_of(t.a.dtype), divide_up(cut.spec.m, kUnitBlock) * 2, t.k);
  }
  cut.limbs = shared <= static_cast<size_t>(kMostSharedBytes) ? limb_kernels() : nullptr;
  if (cut.limbs == nullptr) return;
  cut.way = GemmWay::limbs;
  cut.is_transposed = cut.spec.terms[0].b.column != 1;
  if (cut.is_transposed) {
    std::swap(cut.spec.m, cut.spec.n);
    for (GemmTerm& t : cut.spec.terms) t = {t.b.transposed(), t.a.transposed(), t.k};
  }
  const int64_t lines = cut.is_transposed ? cut.spec.n : cut.spec.m;
  cut.packing.left_tasks = divide_up(lines, kUnitBlock);
  cut.packing.floats = static_cast<int64_t>(shared / sizeof(float));
}

void choose_limb_blocks(GemmCut& cut) {
  cut.blocks.rows = block_of(cut.spec.m, kBlock);
  cut.blocks.columns = block_of(cut.spec.n, kBlock);
  // Enough tasks for all processors, in blocks of fewer lines of the side that tasks split.
  int64_t& own = cut.is_transposed ? cut.blocks.rows : cut.blocks.columns;
  const int64_t all = cut.is_transposed ? cut.spec.m : cut.spec.n,
                wanted = 2 * static_cast<int64_t>(std::max(std::thread::hardware_concurrency(), 1u));
  while (own > 2 * kUnitBlock && divide_up(cut.spec.m, cut.blocks.rows) * divide_up(cut.spec.n, cut.blocks.columns) < wanted) {
    own = block_of(all, own - kUnitBlock);
  }
  cut.blocks.row_blocks = divide_up(cut.spec.m, cut.blocks.rows);
  cut.blocks.column_blocks = divide_up(cut.spec.n, cut.blocks.columns);
}

size_t limb_scratch_bytes(const GemmCut& cut) {
  const int64_t own = cut.is_transposed ? cut.blocks.rows : cut.blocks.columns, rows = cut.is_transposed ? kChunk * cut.blocks.rows : 0;
  const size_t sums = static_cast<size_t>(cut.blocks.rows * cut.blocks.columns + rows) * sizeof(float);
  return sums + limb_bytes(3, own / kUnitRows, kPiece);
}

void split_shared(const GemmCut& cut, const GemmPointers& pointers, int64_t begin, int64_t end) {
  for (int64_t task = begin; task < end; ++task) split_lines(cut, pointers, task);
}

void run_limbs(const GemmCut& cut, const GemmPointers& pointers, float* scratch, const Block& block) {
  const Sums sums{scratch, cut.blocks.columns};
  float* const rows = scratch + cut.blocks.rows * cut.blocks.columns;
  auto* const own = reinterpret_cast<std::byte*>(rows + (cut.is_transposed ? kChunk * cut.blocks.rows : 0));
  bool accumulate = false;
  for (size_t t = 0; t < cut.spec.terms.size(); ++t) {
    const GemmTerm& term = cut.spec.terms[t];
    for (int64_t p = 0; p < term.k; p += kPiece) {
      const int64_t k = std::min(kPiece, term.k - p);
      LimbProduct product{.a = own,
                          .b = own,
                          .a_limbs = limbs_of(term.a.dtype),
                          .b_limbs = limbs_of(term.b.dtype),
                          .rows = round_up(block.rows, kUnitBlock),
                          .columns = round_up(block.columns, kUnitBlock),
                          .k = k,
                          .c = sums.data,
                          .ldc = sums.ld,
                          .accumulate = accumulate};
      if (cut.is_transposed) {
        const MatrixRef a = left(cut, pointers, t, block, p);
        cut.limbs->split({a.data, term.a.dtype, a.row, a.column}, false, block.rows, k, own);
        product.b = shared_limbs(cut, pointers, t, p, block.column);
      } else {
        const MatrixRef b = right(cut, pointers, t, block, p, 0);
        cut.limbs->split({b.data, term.b.dtype, b.column, b.row}, true, block.columns, k, own);
        product.a = shared_limbs(cut, pointers, t, p, block.row);
      }
      Ahead ahead = next_to_split(cut, pointers, t, block, p + kPiece);
      ahead.at_once = divide_up(ahead.left, product.rows * product.columns / (kUnitBlock * kUnitBlock) * divide_up(k, kUnitSteps));
      product.ahead = &ahead;
      cut.limbs->multiply(product);
      accumulate = true;
    }
  }
  mend(cut, pointers, sums, block);
  if (cut.is_transposed) {
    finish_transposed(cut, pointers, sums, rows, block);
  } else {
    finish(cut, pointers, sums, block);
  }
}

}  // namespace lazuli::cpu::gemm
