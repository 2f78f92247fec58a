// Products over a weight whose panels are kept: what qualifies, and the transposed product that reads panels as its left side.
#include <algorithm>
#include <utility>

#include "backend/cpu/common/thresholds.h"
#include "backend/cpu/gemm/gemm.h"
#include "backend/cpu/gemm/gemm_pieces.h"

namespace lazuli::cpu {

namespace {

using threshold::kept::kMostTransposedFloats;
using threshold::kept::kTransposedColumns;
using threshold::kept::kTransposedSums;

std::vector<GemmTerm> transposed_terms(std::vector<GemmTerm> terms) {
  for (GemmTerm& t : terms) t = {t.b.transposed(), t.a.transposed(), t.k};
  return terms;
}

}  // namespace

void Gemm::choose_kept() {
  const GemmTerm& first = spec_.terms[0];
  if (!spec_.keeps_panels || way_ != Way::packed || swapped_ || first.b.dtype != DType::f32 || spec_.a_offsets.size() != 1 ||
      flops() < threshold::kept::kLeastFlops) {
    return;
  }
  if (first.b.row == 1 && first.b.column == first.k) {
    by_ = PackedWeight::By::rows;
    weight_rows_ = spec_.n;
    weight_columns_ = first.k;
  } else if (first.b.column == 1 && first.b.row == spec_.n) {
    by_ = PackedWeight::By::columns;
    weight_rows_ = first.k;
    weight_columns_ = spec_.n;
  } else {
    return;
  }
  int64_t k = 0;
  for (const GemmTerm& term : spec_.terms) k += round_up(term.k, kChunk);
  if (spec_.transposes && round_up(spec_.m, kPanel) * k <= kMostTransposedFloats)
    transposed_ = std::shared_ptr<const Gemm>(new Gemm(TransposedOf{*this}));
}

Gemm::Gemm(const TransposedOf& of) : spec_(of.straight.spec_), tuning_(of.straight.tuning_), f32_(of.straight.f32_), is_transposed_(true) {
  std::swap(spec_.m, spec_.n);
  spec_.terms = transposed_terms(std::move(spec_.terms));
  for (const GemmTerm& term : spec_.terms) kernels_.push_back({gemm_kernels(term.a.dtype), gemm_kernels(term.b.dtype)});
  measure_terms();
  choose_transposed_blocks();
  choose_shared();
}

void Gemm::choose_transposed_blocks() {
  height_ = divide_up(spec_.m, divide_up(spec_.m, f32_.max_rows));
  block_columns_ = std::min(round_up(divide_up(spec_.n, divide_up(spec_.n, kTransposedColumns)), kPanel), round_up(spec_.n, kPanel));
  const int64_t row_panels = divide_up(spec_.m, height_);
  int64_t high = std::clamp<int64_t>(kTransposedSums / block_columns_ / height_, 1, row_panels);
  // Enough of them for threads that do not run alike.
  high = std::min(high, divide_up(row_panels, 8));
  block_rows_ = high * height_;
  row_blocks_ = divide_up(spec_.m, block_rows_);
  column_blocks_ = divide_up(spec_.n, block_columns_);
}

GemmPointers Gemm::transposed(GemmPointers pointers) {
  pointers.swap_sides();
  pointers.left = nullptr;
  return pointers;
}

PackedWeight* Gemm::weight_of(const GemmPointers& pointers) const {
  return by_ == PackedWeight::By::nothing ? nullptr : PackedWeight::find(pointers.b[0], weight_rows_, weight_columns_);
}

void Gemm::count_rows(const GemmPointers& pointers) const {
  const bool fills = row_blocks_ == 1 || right_packs_ > 0;
  if (pointers.weight != nullptr && !pointers.is_part && fills) pointers.weight->count(by_, spec_.m);
}

/// Those that the block will fill: the ones that nobody has filled. With several blocks of rows, pack() fills panels.
Gemm::Kept Gemm::claim_panels(const GemmPointers& pointers, PackedWeight* weight, const Block& block) const {
  Kept kept{weight, 0};
  if (weight == nullptr || is_transposed_ || row_blocks_ != 1) return kept;
  for (int64_t j = 0; j < block.columns; j += kPanel) {
    const int64_t k = pointers.first_panel + (block.column + j) / kPanel;
    if (!weight->done(k) && weight->claim(k)) kept.claimed |= uint64_t{1} << (j / kPanel);
  }
  return kept;
}

void Gemm::panels_done(const GemmPointers& pointers, const Kept& kept, const Block& block) {
  for (int64_t k = 0; k * kPanel < block.columns && kept.claimed != 0; ++k) {
    if ((kept.claimed >> k & 1) != 0) kept.weight->fill_done(pointers.first_panel + block.column / kPanel + k);
  }
}

/// The first term. A few rows of the weight stay in the first-level cache while all panels of the right side pass by.
void Gemm::run_transposed(const GemmPointers& pointers, const PackedWeight& weight, const Sums& sums, const Block& block) const {
  const int64_t all = spec_.terms[0].k, piece = piece_of(all, tuning_.piece_of_k);
  const int64_t panels = divide_up(block.columns, kPanel), tiles = panels * divide_up(block.rows, height_);
  for (int64_t p = 0; p < all; p += piece) {
    const int64_t k = std::min(piece, all - p), next_k = std::min(piece, all - p - k);
    // The next piece of the right side comes nearer meanwhile.
    Ahead ahead;
    if (next_k > 0) {
      const float* const next = shared_right(pointers, 0, p + k, block.column);
      const int64_t lines = next_k * kPanel * static_cast<int64_t>(sizeof(float)) / 64;
      const int64_t row_bytes = round_up(all, kChunk) * kPanel * static_cast<int64_t>(sizeof(float));
      ahead = {reinterpret_cast<const std::byte*>(next), lines, row_bytes, lines * panels, 0, 0};
      ahead.at_once = divide_up(ahead.left, tiles * divide_up(k, kChunk));
    }
    for (int64_t i = 0; i < block.rows; i += height_) {
      const auto h = static_cast<size_t>(std::min(height_, block.rows - i));
      const float* const rows = weight.panel(pointers.first_panel + p / kPanel) + (block.row + i) * kPanel;
      for (int64_t j = 0; j < block.columns; j += kPanel) {
        f32_.transposed[h]({rows, shared_right(pointers, 0, p, block.column + j), kPanel, kChunk, sums.data + i * sums.ld + j, sums.ld,
                            kChunk, k, p > 0, &ahead, weight.panel_floats()});
      }
    }
  }
}

}  // namespace lazuli::cpu
