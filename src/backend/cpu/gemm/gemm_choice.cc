// How a product is cut: which way it goes, the block of a task, and the memory that a task takes.
#include <algorithm>
#include <utility>

#include "backend/cpu/common/thresholds.h"
#include "backend/cpu/gemm/gemm.h"
#include "backend/cpu/gemm/gemm_pieces.h"

namespace lazuli::cpu {

namespace {

using threshold::gemm::kFewShort;
using threshold::gemm::kPanelsTogether;
using threshold::gemm::kShortDot;
using threshold::gemm::kTaskBytes;

}  // namespace

Gemm::Gemm(GemmSpec spec) : spec_(std::move(spec)), tuning_(tuning()), f32_(gemm_kernels(DType::f32)) {
  choose_way();
  choose_products();
  choose_limbs();
  for (const GemmTerm& term : spec_.terms) {
    kernels_.push_back({gemm_kernels(term.a.dtype), gemm_kernels(term.b.dtype)});
  }
  measure_terms();
  choose_blocks();
  choose_shared();
  choose_kept();
}

/// The term with the longest k need not have the longest pieces: 300 steps are cut into two of 160, 192 are one.
void Gemm::measure_terms() {
  for (size_t t = first_in_panels(); t < spec_.terms.size(); ++t) {
    longest_k_ = std::max(longest_k_, spec_.terms[t].k);
    longest_piece_ = std::max(longest_piece_, piece_of(spec_.terms[t].k, tuning_.piece_of_k));
  }
}

void Gemm::choose_way() {
  const GemmTerm& first = spec_.terms[0];
  if (plain() && !spec_.scaled && spec_.terms.size() == 1 && spec_.n <= tuning_.few_rows && spec_.m > spec_.n && first.a.row == 1 &&
      first.a.column != 1) {
    swapped_ = true;
    std::swap(spec_.m, spec_.n);
    std::swap(spec_.a_offsets, spec_.b_offsets);
    spec_.terms[0] = {first.b.transposed(), first.a.transposed(), first.k};
  }
  const MatrixLayout &a = spec_.terms[0].a, &b = spec_.terms[0].b;
  const bool few = spec_.m <= tuning_.few_dots || spec_.n <= tuning_.few_dots;
  if (spec_.m <= tuning_.few_rows && b.column == 1) {
    way_ = Way::direct;
  } else if (a.column == 1 && (spec_.terms[0].k >= kShortDot || spec_.m <= kFewShort) && few &&
             (b.row == 1 || spec_.n <= tuning_.few_dots)) {
    way_ = Way::dots;
  }
}

void Gemm::choose_blocks() {
  if (way_ == Way::limbs) {
    choose_limb_blocks();
    return;
  }
  const int64_t m = std::max<int64_t>(spec_.m, 1), n = std::max<int64_t>(spec_.n, 1);
  height_ = divide_up(m, divide_up(m, f32_.max_rows));
  if (way_ != Way::blocks) {
    block_rows_ = m;
    block_columns_ = n;
  }
  const double task_flops = 1e3 * static_cast<double>(tuning_.task_kiloflops);
  double k = 1;
  for (const GemmTerm& term : spec_.terms) k += static_cast<double>(term.k);
  if (way_ == Way::packed) {
    const int64_t row_panels = divide_up(m, height_), column_panels = divide_up(n, kPanel);
    // Where one block does not do, all of them share what is packed: smaller ones leave room for it in the cache.
    const int64_t most = m > tuning_.block_rows ? tuning_.block_rows / 2 : tuning_.block_rows;
    int64_t high = divide_up(row_panels, divide_up(row_panels, std::max<int64_t>(most / height_, 1))),
            wide = std::min<int64_t>(column_panels, 2);
    const auto small = [&] {
      const double flops = 2 * k * static_cast<double>(high * height_ * wide * kPanel);
      const int64_t blocks = divide_up(row_panels, high) * divide_up(column_panels, wide) * static_cast<int64_t>(spec_.a_offsets.size());
      return blocks >= 16 || flops < 2 * task_flops;
    };
    // Fewer columns first: blocks of rows would pack the right side apart.
    while (!small() && wide > 1) wide /= 2;
    while (!small() && high > 6) high = divide_up(high, 2);
    block_rows_ = high * height_;
    block_columns_ = wide * kPanel;
  } else if (way_ != Way::blocks) {
    const auto longest = static_cast<int64_t>(size_of(spec_.terms[0].b.dtype)) * std::max<int64_t>(longest_k_, 1);
    const int64_t lines = std::max<int64_t>(kTaskBytes / longest / kPanel, 1) * kPanel;
    if (way_ == Way::dots && n < m) {
      block_rows_ = std::min(m, lines);
    } else {
      block_columns_ = std::min(n, lines);
    }
  }
  row_blocks_ = divide_up(m, block_rows_);
  column_blocks_ = divide_up(n, block_columns_);
  if (way_ == Way::packed && row_blocks_ == 1 && spec_.a_offsets.size() == 1) {
    neighbours_ = std::clamp<int64_t>(kPanelsTogether * kPanel / block_columns_, 1, column_blocks_);
  }
  if (row_blocks_ * column_blocks_ == 1) {
    const double each = 2 * k * static_cast<double>(m * n) + 100;
    group_ =
        std::clamp<int64_t>(static_cast<int64_t>(task_flops / each), 1, std::max<int64_t>(static_cast<int64_t>(spec_.a_offsets.size()), 1));
  }
}

int64_t Gemm::tasks() const { return std::max(straight_tasks(), transposed_ ? transposed_->straight_tasks() : 0); }

int64_t Gemm::straight_tasks() const {
  if (spec_.m == 0 || spec_.n == 0) return 0;
  return divide_up(static_cast<int64_t>(spec_.a_offsets.size()), group_) * row_blocks_ * column_blocks_;
}

double Gemm::flops() const {
  double k = 0;
  for (const GemmTerm& term : spec_.terms) k += static_cast<double>(term.k);
  return 2 * k * static_cast<double>(spec_.m) * static_cast<double>(spec_.n) * static_cast<double>(spec_.a_offsets.size());
}

int64_t Gemm::left_floats() const { return block_rows_ * (way_ == Way::dots ? round_up(longest_k_, kChunk) : longest_piece_); }
int64_t Gemm::right_floats() const {
  if (way_ == Way::dots) return block_columns_ * round_up(longest_k_, kChunk);
  return kPanel * longest_piece_;
}

size_t Gemm::thread_scratch_bytes() const {
  if (way_ == Way::limbs) return limb_scratch_bytes();
  const int64_t sums = block_rows_ * round_up(block_columns_ * neighbours_, kPanel);
  const int64_t transposed_rows = is_transposed_ ? kChunk * round_up(block_rows_, kChunk) : 0;
  const int64_t floats = round_up(left_floats(), kChunk) + 2 * right_floats() + sums + transposed_rows + kPanel;
  return std::max(static_cast<size_t>(floats) * sizeof(float) + product_scratch_, transposed_ ? transposed_->thread_scratch_bytes() : 0);
}

}  // namespace lazuli::cpu
