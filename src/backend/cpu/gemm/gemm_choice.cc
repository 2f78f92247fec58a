// How a product is cut: which way it goes, the block of a task, and the memory that a task takes.
#include <algorithm>
#include <utility>

#include "backend/cpu/common/thresholds.h"
#include "backend/cpu/gemm/gemm_cut.h"

namespace lazuli::cpu::gemm {

namespace {

using threshold::gemm::kFewShort;
using threshold::gemm::kPanelsTogether;
using threshold::gemm::kShortDot;
using threshold::gemm::kTaskBytes;

}  // namespace

GemmCut choose(GemmSpec spec) {
  GemmCut cut(std::move(spec), tuning(), gemm_kernels(DType::f32));
  choose_way(cut);
  choose_products(cut);
  choose_limbs(cut);
  choose_kernels(cut);
  choose_blocks(cut);
  choose_packing(cut);
  choose_kept(cut);
  return cut;
}

/// The term with the longest k need not have the longest pieces: 300 steps are cut into two of 160, 192 are one.
void choose_kernels(GemmCut& cut) {
  for (const GemmTerm& term : cut.spec.terms) cut.kernels.push_back({gemm_kernels(term.a.dtype), gemm_kernels(term.b.dtype)});
  for (size_t t = cut.first_in_panels(); t < cut.spec.terms.size(); ++t) {
    cut.longest_k = std::max(cut.longest_k, cut.spec.terms[t].k);
    cut.longest_piece = std::max(cut.longest_piece, cut.piece(t));
  }
}

void choose_way(GemmCut& cut) {
  GemmSpec& spec = cut.spec;
  const Tuning& by = cut.tuning;
  const GemmTerm& first = spec.terms[0];
  if (cut.plain() && !spec.scaled && spec.terms.size() == 1 && spec.n <= by.few_rows && spec.m > spec.n && first.a.row == 1 &&
      first.a.column != 1) {
    cut.swapped = true;
    std::swap(spec.m, spec.n);
    std::swap(spec.a_offsets, spec.b_offsets);
    spec.terms[0] = {first.b.transposed(), first.a.transposed(), first.k};
  }
  const MatrixLayout &a = spec.terms[0].a, &b = spec.terms[0].b;
  const bool few = spec.m <= by.few_dots || spec.n <= by.few_dots;
  if (spec.m <= by.few_rows && b.column == 1) {
    cut.way = GemmWay::direct;
  } else if (a.column == 1 && (spec.terms[0].k >= kShortDot || spec.m <= kFewShort) && few && (b.row == 1 || spec.n <= by.few_dots)) {
    cut.way = GemmWay::dots;
  }
}

void choose_blocks(GemmCut& cut) {
  if (cut.way == GemmWay::limbs) {
    choose_limb_blocks(cut);
    return;
  }
  const GemmSpec& spec = cut.spec;
  GemmBlocks& blocks = cut.blocks;
  const int64_t m = std::max<int64_t>(spec.m, 1), n = std::max<int64_t>(spec.n, 1);
  blocks.height = divide_up(m, divide_up(m, cut.f32.max_rows));
  if (cut.way != GemmWay::blocks) {
    blocks.rows = m;
    blocks.columns = n;
  }
  const double task_flops = 1e3 * static_cast<double>(cut.tuning.task_kiloflops);
  double k = 1;
  for (const GemmTerm& term : spec.terms) k += static_cast<double>(term.k);
  if (cut.way == GemmWay::packed) {
    const int64_t row_panels = divide_up(m, blocks.height), column_panels = divide_up(n, kPanel);
    // Where one block does not do, all of them share what is packed: smaller ones leave room for it in the cache.
    const int64_t most = m > cut.tuning.block_rows ? cut.tuning.block_rows / 2 : cut.tuning.block_rows;
    int64_t high = divide_up(row_panels, divide_up(row_panels, std::max<int64_t>(most / blocks.height, 1))),
            wide = std::min<int64_t>(column_panels, 2);
    const auto small = [&] {
      const double flops = 2 * k * static_cast<double>(high * blocks.height * wide * kPanel);
      const int64_t all = divide_up(row_panels, high) * divide_up(column_panels, wide) * static_cast<int64_t>(spec.a_offsets.size());
      return all >= 16 || flops < 2 * task_flops;
    };
    // Fewer columns first: blocks of rows would pack the right side apart.
    while (!small() && wide > 1) wide /= 2;
    while (!small() && high > 6) high = divide_up(high, 2);
    blocks.rows = high * blocks.height;
    blocks.columns = wide * kPanel;
  } else if (cut.way != GemmWay::blocks) {
    const auto longest = static_cast<int64_t>(size_of(spec.terms[0].b.dtype)) * std::max<int64_t>(cut.longest_k, 1);
    const int64_t lines = std::max<int64_t>(kTaskBytes / longest / kPanel, 1) * kPanel;
    if (cut.way == GemmWay::dots && n < m) {
      blocks.rows = std::min(m, lines);
    } else {
      blocks.columns = std::min(n, lines);
    }
  }
  blocks.row_blocks = divide_up(m, blocks.rows);
  blocks.column_blocks = divide_up(n, blocks.columns);
  if (cut.way == GemmWay::packed && blocks.row_blocks == 1 && spec.a_offsets.size() == 1) {
    blocks.neighbours = std::clamp<int64_t>(kPanelsTogether * kPanel / blocks.columns, 1, blocks.column_blocks);
  }
  if (blocks.row_blocks * blocks.column_blocks == 1) {
    const double each = 2 * k * static_cast<double>(m * n) + 100;
    blocks.group =
        std::clamp<int64_t>(static_cast<int64_t>(task_flops / each), 1, std::max<int64_t>(static_cast<int64_t>(spec.a_offsets.size()), 1));
  }
}

}  // namespace lazuli::cpu::gemm

namespace lazuli::cpu {

int64_t GemmCut::tasks() const {
  if (spec.m == 0 || spec.n == 0) return 0;
  return divide_up(static_cast<int64_t>(spec.a_offsets.size()), blocks.group) * blocks.row_blocks * blocks.column_blocks;
}

double GemmCut::flops() const {
  double k = 0;
  for (const GemmTerm& term : spec.terms) k += static_cast<double>(term.k);
  return 2 * k * static_cast<double>(spec.m) * static_cast<double>(spec.n) * static_cast<double>(spec.a_offsets.size());
}

size_t GemmCut::scratch_bytes() const {
  if (way == GemmWay::limbs) return gemm::limb_scratch_bytes(*this);
  const int64_t sums = blocks.rows * round_up(blocks.columns * blocks.neighbours, kPanel);
  const int64_t transposed_rows = is_transposed ? kChunk * round_up(blocks.rows, kChunk) : 0;
  const int64_t floats = round_up(left_floats(), kChunk) + 2 * right_floats() + sums + transposed_rows + kPanel;
  return static_cast<size_t>(floats) * sizeof(float) + product_scratch;
}

}  // namespace lazuli::cpu
