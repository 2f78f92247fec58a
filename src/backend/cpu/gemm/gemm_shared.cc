// Packing of whole operands, once for all tasks of a product.
#include <algorithm>

#include "backend/cpu/common/thresholds.h"
#include "backend/cpu/gemm/gemm.h"
#include "backend/cpu/gemm/gemm_pieces.h"

namespace lazuli::cpu {

namespace {

using threshold::gemm::kLargeFlops;
using threshold::gemm::kMostLeftFloats;
using threshold::gemm::kMostRightFloats;
using threshold::gemm::kPackFloats;

}  // namespace

void Gemm::choose_shared() {
  if (way_ != Way::packed || spec_.a_offsets.size() != 1 || (flops() < kLargeFlops && !is_transposed_)) return;
  int64_t left = 0, right = 0, k = 0;
  for (const GemmTerm& term : spec_.terms) {
    left += spec_.m * round_up(term.k, kChunk);
    right += round_up(spec_.n, kPanel) * round_up(term.k, kChunk);
    k += round_up(term.k, kChunk);
  }
  if (k == 0) return;
  int64_t at = 0;
  if (column_blocks_ > 1 && left <= kMostLeftFloats && !is_transposed_) {
    pack_rows_ = height_ * divide_up(kPackFloats, height_ * k);
    left_packs_ = divide_up(spec_.m, pack_rows_);
    for (size_t t = 0; t < spec_.terms.size(); ++t) {
      left_start_[t] = at;
      at += spec_.m * round_up(spec_.terms[t].k, kChunk);
    }
  }
  if ((row_blocks_ > 1 && right <= kMostRightFloats) || is_transposed_) {
    pack_columns_ = kPanel * divide_up(kPackFloats, kPanel * k);
    right_packs_ = divide_up(spec_.n, pack_columns_);
    for (size_t t = 0; t < spec_.terms.size(); ++t) {
      right_start_[t] = at;
      at += round_up(spec_.n, kPanel) * round_up(spec_.terms[t].k, kChunk);
    }
  }
  shared_floats_ = at;
}

int64_t Gemm::shared_left_floats() const {
  if (left_packs_ == 0) return 0;
  if (way_ == Way::limbs) return shared_floats_;
  int64_t floats = 0;
  for (const GemmTerm& term : spec_.terms) floats += spec_.m * round_up(term.k, kChunk);
  return floats;
}

bool Gemm::packs_left_as(const Gemm& other) const {
  if (way_ != other.way_ || is_transposed_ != other.is_transposed_) return false;
  const bool right = way_ == Way::limbs && is_transposed_;
  const auto same = [&](const GemmTerm& x, const GemmTerm& y) {
    const MatrixLayout &mine = right ? x.b : x.a, &its = right ? y.b : y.a;
    return x.k == y.k && mine.dtype == its.dtype && mine.row == its.row && mine.column == its.column;
  };
  return left_packs_ > 0 && left_packs_ == other.left_packs_ && pack_rows_ == other.pack_rows_ && height_ == other.height_ &&
         (right ? spec_.n == other.spec_.n : spec_.m == other.spec_.m) && tuning_.piece_of_k == other.tuning_.piece_of_k &&
         std::equal(spec_.terms.begin(), spec_.terms.end(), other.spec_.terms.begin(), other.spec_.terms.end(), same);
}

float* Gemm::shared_left(const GemmPointers& pointers, size_t term, int64_t first_k, int64_t row) const {
  const int64_t k = std::min(piece_of(spec_.terms[term].k, tuning_.piece_of_k), spec_.terms[term].k - first_k);
  return (pointers.left != nullptr ? pointers.left : pointers.shared) + left_start_[term] + first_k * spec_.m + row * round_up(k, kChunk);
}

float* Gemm::shared_right(const GemmPointers& pointers, size_t term, int64_t first_k, int64_t column) const {
  return pointers.shared + right_start_[term] + column * round_up(spec_.terms[term].k, kChunk) + first_k * kPanel;
}

void Gemm::pack(const GemmPointers& given, int64_t begin, int64_t end) const {
  PackedWeight* weight = given.weight;
  if (runs_transposed(weight)) {
    const Share share(begin, end, pack_tasks(), transposed_->right_packs_);
    transposed_->pack_straight(transposed(given), nullptr, share.begin, share.end);
    return;
  }
  GemmPointers pointers = given;
  if (swapped_) std::swap(pointers.a[0], pointers.b[0]);
  if (way_ == Way::limbs) {
    if (is_transposed_) pointers.swap_sides();
    for (int64_t task = begin; task < end; ++task) split_shared(pointers, task);
    return;
  }
  if (begin == 0 && right_packs_ == 0) count_rows(given);
  if (weight != nullptr && weight->by() != by_) weight = nullptr;
  const Share share(begin, end, pack_tasks(), left_packs_ + right_packs_);
  pack_straight(pointers, weight, share.begin, share.end);
}

/// A panel of the first term's right side that is kept already is not packed again; one that nobody fills is filled instead of packed.
void Gemm::pack_straight(const GemmPointers& pointers, PackedWeight* weight, int64_t begin, int64_t end) const {
  for (int64_t task = begin; task < end; ++task) {
    const bool is_left = task < left_packs_;
    const int64_t first = is_left ? task * pack_rows_ : (task - left_packs_) * pack_columns_;
    for (size_t t = 0; t < spec_.terms.size(); ++t) {
      const int64_t k = spec_.terms[t].k, piece = piece_of(k, tuning_.piece_of_k);
      if (is_left) {
        const int64_t rows = std::min(pack_rows_, spec_.m - first);
        for (int64_t p = 0; p < k; p += piece) {
          const MatrixRef a = left(pointers, t, {0, first, rows, 0, 0}, p);
          kernels_[t].a.pack_left(a, rows, std::min(piece, k - p), height_, shared_left(pointers, t, p, first));
        }
        continue;
      }
      const int64_t last = std::min(first + pack_columns_, spec_.n);
      for (int64_t j = first; j < last; j += kPanel) {
        const bool kept = weight != nullptr && t == 0;
        const int64_t panel_at = pointers.first_panel + j / kPanel;
        if (kept && weight->done(panel_at)) continue;
        const bool fills = kept && weight->claim(panel_at);
        const MatrixRef b = right(pointers, t, {0, 0, 0, j, 0}, 0, 0);
        float* const panel = fills ? weight->panel(panel_at) : shared_right(pointers, t, 0, j);
        kernels_[t].b.pack_right(b, k, std::min(kPanel, last - j), panel);
        if (fills) weight->fill_done(panel_at);
      }
    }
  }
}

}  // namespace lazuli::cpu
