// Products on the matrix unit. The side that all tasks read is split into limbs once; a task splits its part of the other side, piece by
// piece of k, while that part is in its cache.
#include <algorithm>
#include <cmath>
#include <thread>
#include <utility>

#include "backend/cpu/common/thresholds.h"
#include "backend/cpu/gemm/gemm.h"
#include "backend/cpu/gemm/gemm_pieces.h"
#include "backend/cpu/gemm/matrix_unit.h"

namespace lazuli::cpu {

namespace {

using threshold::limbs::kBlock;
using threshold::limbs::kLeastFlops;
using threshold::limbs::kMostSharedBytes;
using threshold::limbs::kPiece;
using threshold::limbs::kShortK;

const void* at(const void* data, DType dtype, int64_t element) {
  return static_cast<const std::byte*>(data) + element * static_cast<int64_t>(size_of(dtype));
}

float value(const void* data, const MatrixLayout& m, int64_t row, int64_t column) {
  const void* const v = at(data, m.dtype, row * m.row + column * m.column);
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

}  // namespace

const MatrixLayout& Gemm::shared_side(size_t term) const { return is_transposed_ ? spec_.terms[term].b : spec_.terms[term].a; }

/// The left side as given is shared. Where k runs along the other side, the product is transposed: tiles of a left side are made of such
/// lines as they are, tiles of a right side are not.
void Gemm::choose_limbs() {
  if (way_ != Way::packed || swapped_ || spec_.a_offsets.size() != 1 || flops() < kLeastFlops) return;
  if (std::min(spec_.m, spec_.n) < tuning_.matrix_unit_rows || !fills_squares(spec_.m) || !fills_squares(spec_.n)) return;
  if (spec_.terms[0].k < kShortK) return;
  size_t shared = 0;
  for (const GemmTerm& t : spec_.terms) {
    if ((t.a.row != 1 && t.a.column != 1) || (t.b.row != 1 && t.b.column != 1)) return;
    shared += limb_bytes(limbs_of(t.a.dtype), divide_up(spec_.m, kUnitBlock) * 2, t.k);
  }
  limbs_ = shared <= static_cast<size_t>(kMostSharedBytes) ? limb_kernels() : nullptr;
  if (limbs_ == nullptr) return;
  way_ = Way::limbs;
  is_transposed_ = spec_.terms[0].b.column != 1;
  if (is_transposed_) {
    std::swap(spec_.m, spec_.n);
    for (GemmTerm& t : spec_.terms) t = {t.b.transposed(), t.a.transposed(), t.k};
  }
  const int64_t lines = is_transposed_ ? spec_.n : spec_.m;
  left_packs_ = divide_up(lines, kUnitBlock);
  shared_floats_ = static_cast<int64_t>(shared / sizeof(float));
}

void Gemm::choose_limb_blocks() {
  block_rows_ = block_of(spec_.m, kBlock);
  block_columns_ = block_of(spec_.n, kBlock);
  // Enough tasks for all processors, in blocks of fewer lines of the side that tasks split.
  int64_t& own = is_transposed_ ? block_rows_ : block_columns_;
  const int64_t all = is_transposed_ ? spec_.m : spec_.n,
                wanted = 2 * static_cast<int64_t>(std::max(std::thread::hardware_concurrency(), 1u));
  while (own > 2 * kUnitBlock && divide_up(spec_.m, block_rows_) * divide_up(spec_.n, block_columns_) < wanted) {
    own = block_of(all, own - kUnitBlock);
  }
  row_blocks_ = divide_up(spec_.m, block_rows_);
  column_blocks_ = divide_up(spec_.n, block_columns_);
}

size_t Gemm::limb_scratch_bytes() const {
  const int64_t own = is_transposed_ ? block_rows_ : block_columns_, rows = is_transposed_ ? kChunk * block_rows_ : 0;
  const size_t sums = static_cast<size_t>(block_rows_ * block_columns_ + rows) * sizeof(float);
  return sums + limb_bytes(3, own / kUnitRows, kPiece);
}

/// From a piece of k on, those of 16 lines from `line` on.
std::byte* Gemm::shared_limbs(const GemmPointers& pointers, size_t term, int64_t first_k, int64_t line) const {
  const int64_t groups = 2 * left_packs_;
  auto* at = reinterpret_cast<std::byte*>(pointers.left != nullptr ? pointers.left : pointers.shared);
  for (size_t t = 0; t < term; ++t) at += limb_bytes(limbs_of(shared_side(t).dtype), groups, spec_.terms[t].k);
  const int limbs = limbs_of(shared_side(term).dtype);
  const int64_t k = std::min(kPiece, spec_.terms[term].k - first_k);
  return at + limb_bytes(limbs, groups, first_k) + limb_bytes(limbs, line / kUnitRows, k);
}

/// A task of pack().
void Gemm::split_shared(const GemmPointers& pointers, int64_t task) const {
  const int64_t first = task * kUnitBlock, lines = std::min(kUnitBlock, (is_transposed_ ? spec_.n : spec_.m) - first);
  for (size_t t = 0; t < spec_.terms.size(); ++t) {
    const MatrixLayout& side = shared_side(t);
    const void* const data = is_transposed_ ? pointers.b[t] : pointers.a[t];
    for (int64_t p = 0; p < spec_.terms[t].k; p += kPiece) {
      const int64_t line = is_transposed_ ? side.column : side.row, step = is_transposed_ ? side.row : side.column;
      limbs_->split({at(data, side.dtype, first * line + p * step), side.dtype, line, step}, is_transposed_, lines,
                    std::min(kPiece, spec_.terms[t].k - p), shared_limbs(pointers, t, p, first));
    }
  }
}

/// What the block will split after that piece of k, to be asked for while the piece is multiplied; or what the block after it will.
Ahead Gemm::next_to_split(const GemmPointers& pointers, size_t term, const Block& block, int64_t next_k) const {
  Block from = block;
  if (next_k >= spec_.terms[term].k) {
    const bool more = is_transposed_ ? block.row + block.rows < spec_.m : row_blocks_ == 1 && block.column + block.columns < spec_.n;
    if (term + 1 < spec_.terms.size() || !more) return {};
    from = is_transposed_ ? Block{0, block.row + block.rows, std::min(block_rows_, spec_.m - block.row - block.rows), 0, 0}
                          : Block{0, 0, 0, block.column + block.columns, std::min(block_columns_, spec_.n - block.column - block.columns)};
    term = 0;
    next_k = 0;
  }
  const GemmTerm& next = spec_.terms[term];
  const MatrixLayout& side = is_transposed_ ? next.a : next.b;
  const MatrixRef at = is_transposed_ ? left(pointers, term, from, next_k) : right(pointers, term, from, next_k, 0);
  const int64_t lines = is_transposed_ ? from.rows : from.columns, k = std::min(kPiece, next.k - next_k);
  const bool along = (is_transposed_ ? side.column : side.row) == 1;
  const auto size = static_cast<int64_t>(size_of(side.dtype));
  const int64_t rows = along ? lines : k, row_lines = divide_up((along ? k : lines) * size, 64);
  const int64_t stride = (is_transposed_ == along ? side.row : side.column) * size;
  return {static_cast<const std::byte*>(at.data), row_lines, stride, rows * row_lines, 0, 0};
}

void Gemm::run_limbs(const GemmPointers& pointers, float* scratch, const Block& block) const {
  const Sums sums{scratch, block_columns_};
  float* const rows = scratch + block_rows_ * block_columns_;
  auto* const own = reinterpret_cast<std::byte*>(rows + (is_transposed_ ? kChunk * block_rows_ : 0));
  bool accumulate = false;
  for (size_t t = 0; t < spec_.terms.size(); ++t) {
    const GemmTerm& term = spec_.terms[t];
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
      if (is_transposed_) {
        const MatrixRef a = left(pointers, t, block, p);
        limbs_->split({a.data, term.a.dtype, a.row, a.column}, false, block.rows, k, own);
        product.b = shared_limbs(pointers, t, p, block.column);
      } else {
        const MatrixRef b = right(pointers, t, block, p, 0);
        limbs_->split({b.data, term.b.dtype, b.column, b.row}, true, block.columns, k, own);
        product.a = shared_limbs(pointers, t, p, block.row);
      }
      Ahead ahead = next_to_split(pointers, t, block, p + kPiece);
      ahead.at_once = divide_up(ahead.left, product.rows * product.columns / (kUnitBlock * kUnitBlock) * divide_up(k, kUnitSteps));
      product.ahead = &ahead;
      limbs_->multiply(product);
      accumulate = true;
    }
  }
  mend(pointers, sums, block);
  if (is_transposed_) {
    finish_transposed(pointers, sums, rows, block);
  } else {
    finish(pointers, sums, block);
  }
}

/// Limbs of infinities, and of values that bf16 rounds to infinity, add up to NaN.
void Gemm::mend(const GemmPointers& pointers, const Sums& sums, const Block& block) const {
  if (!limbs_->any_nan(sums.data, sums.ld, block.rows, block.columns)) return;
  for (int64_t i = 0; i < block.rows; ++i) {
    for (int64_t j = 0; j < block.columns; ++j) {
      float& sum = sums.data[i * sums.ld + j];
      if (!std::isnan(sum)) continue;
      sum = 0;
      for (size_t t = 0; t < spec_.terms.size(); ++t) {
        const GemmTerm& term = spec_.terms[t];
        for (int64_t p = 0; p < term.k && !std::isnan(sum); ++p) {
          sum += value(pointers.a[t], term.a, block.row + i, p) * value(pointers.b[t], term.b, p, block.column + j);
        }
      }
    }
  }
}

}  // namespace lazuli::cpu
