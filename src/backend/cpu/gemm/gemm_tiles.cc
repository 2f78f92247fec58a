// The sums of a block, made of panels or of inner products.
#include <algorithm>
#include <cstring>

#include "backend/cpu/gemm/gemm_next_panel.h"
#include "backend/cpu/gemm/gemm_stages.h"

namespace lazuli::cpu::gemm {

namespace {

NextPanel::Source panel_at(const GemmCut& cut, const GemmPointers& pointers, const Kept& kept, size_t term, const Block& block,
                           int64_t first_k, int64_t column) {
  const GemmTerm& sum = cut.spec.terms[term];
  NextPanel::Source source{right(cut, pointers, term, block, first_k, column), std::min(cut.piece(term), sum.k - first_k),
                           std::min(kPanel, cut.spec.n - block.column - column), static_cast<int64_t>(size_of(sum.b.dtype)),
                           cut.kernels[term].b.pack_right};
  if (cut.packing.right_tasks > 0) {
    source.kept = shared_right(cut, pointers, term, first_k, block.column + column);
    source.done = true;
  }
  if (term == 0 && kept.weight != nullptr && !cut.is_transposed) {
    const int64_t panel = pointers.first_panel + (block.column + column) / kPanel;
    const bool fills = column < block.columns && (kept.claimed >> (column / kPanel) & 1) != 0;
    const bool done = !fills && kept.weight->done(panel);
    source.done = source.done || done;
    if (fills || done) source.kept = kept.weight->panel(panel) + first_k * kPanel;
  }
  return source;
}

/// Packs the panel, where that has not been done, and begins with the one that follows. `packed` has room for two.
const float* take_panel(const GemmCut& cut, const GemmPointers& pointers, const Kept& kept, NextPanel& next, size_t term,
                        const Block& block, int64_t first_k, int64_t column, float* packed) {
  const NextPanel::Source source = panel_at(cut, pointers, kept, term, block, first_k, column);
  if (!next.holds(source)) next.start(source, packed, 1);
  float* panel = next.finish();
  float* other = panel == packed ? packed + cut.right_floats() : packed;
  const int64_t piece = cut.piece(term), shares = divide_up(block.rows, cut.blocks.height);
  next.forget();
  if (column + kPanel < block.columns) {
    next.start(panel_at(cut, pointers, kept, term, block, first_k, column + kPanel), other, shares);
  } else if (first_k + piece < cut.spec.terms[term].k) {
    next.start(panel_at(cut, pointers, kept, term, block, first_k + piece, 0), other, shares);
  } else if (term + 1 < cut.spec.terms.size()) {
    if (cut.packs(term + 1)) next.start(panel_at(cut, pointers, kept, term + 1, block, 0, 0), other, shares);
  } else if (const size_t first = cut.first_in_panels();
             cut.blocks.row_blocks == 1 && block.column + block.columns < cut.spec.n && cut.packs(first)) {
    // Of the next task, most often of the same thread; who fills a panel that is to be kept is not known yet.
    const NextPanel::Source after = panel_at(cut, pointers, kept, first, block, 0, block.columns);
    if (kept.weight == nullptr || after.done) next.start(after, other, shares);
  }
  return panel;
}

/// All rows of the block times one panel.
void run_panel(const GemmCut& cut, size_t term, bool pack, TileArgs tile, const Block& block, int64_t columns, NextPanel& next) {
  const GemmKernels& set = pack ? cut.f32 : cut.kernels[term].b;
  const int64_t rounded = round_up(tile.k, kChunk);
  const auto size = static_cast<int64_t>(size_of(cut.spec.terms[term].b.dtype));
  for (int64_t i = 0; i < block.rows; i += cut.blocks.height) {
    const auto h = static_cast<size_t>(std::min(cut.blocks.height, block.rows - i));
    tile.ahead = next.ask(tile.k);
    if (cut.is_transposed || columns == kPanel || (pack && columns > kChunk)) {
      set.two[h](tile);
    } else if (pack || columns == kChunk) {
      set.one[h](tile);
    } else {
      TileArgs rest = tile;
      if (columns > kChunk) {
        set.one[h](tile);
        rest.b = static_cast<const std::byte*>(tile.b) + kChunk * size;
        rest.c += kChunk;
      }
      set.narrow[h](rest, columns % kChunk);
    }
    tile.a += static_cast<int64_t>(h) * rounded;
    tile.c += static_cast<int64_t>(h) * tile.ldc;
    next.pack_share();
  }
}

void run_dots(const GemmCut& cut, const GemmPointers& pointers, float* scratch, const Block& block) {
  float* const rows = scratch;
  float* const columns = rows + round_up(cut.left_floats(), kChunk);
  const Sums aside{columns + cut.right_floats(), block.columns};
  const Sums sums = cut.stores_sums() ? sums_in_result(cut, pointers, block) : aside;
  for (size_t t = 0; t < cut.spec.terms.size(); ++t) {
    const GemmTerm& term = cut.spec.terms[t];
    const int64_t packed = round_up(term.k, kChunk);
    const MatrixRef a = left(cut, pointers, t, block, 0), b = right(cut, pointers, t, block, 0, 0);
    DotArgs dot{static_cast<const float*>(a.data), a.row, b.data, b.column, sums.data, sums.ld, term.k, block.rows, block.columns, t > 0};
    DotKernel kernel = cut.kernels[t].b.dot;
    if (term.a.dtype != DType::f32 || a.column != 1) {
      cut.kernels[t].a.pack_left(a, block.rows, term.k, 1, rows);
      dot.x = rows;
      dot.ldx = packed;
    }
    if (b.row != 1) {
      cut.kernels[t].b.pack_left({b.data, b.column, b.row}, block.columns, term.k, 1, columns);
      dot.w = columns;
      dot.ldw = packed;
      kernel = cut.f32.dot;
    }
    kernel(dot);
  }
  if (!cut.stores_sums()) finish(cut, pointers, sums, block);
}

void run_tiles(const GemmCut& cut, const GemmPointers& pointers, PackedWeight* weight, float* scratch, const Block& block,
               NextPanel& next) {
  float* const panels = scratch;
  float* const packed = panels + round_up(cut.left_floats(), kChunk);
  const Sums aside{packed + 2 * cut.right_floats(), cut.way == GemmWay::blocks ? block.columns : round_up(block.columns, kPanel)};
  const Sums result = cut.stores_sums() ? sums_in_result(cut, pointers, block) : aside;
  // A packed panel is stored in whole chunks: one that ends elsewhere takes the way through scratch.
  bool packs_any = false;
  for (size_t t = 0; t < cut.spec.terms.size(); ++t) packs_any = packs_any || cut.packs(t);
  const int64_t ragged = packs_any && block.columns % kChunk != 0 ? block.columns % kPanel : 0;
  const Kept kept = claim_panels(cut, pointers, weight, block);
  bool accumulate = cut.is_transposed;
  if (cut.is_transposed) run_transposed(cut, pointers, *weight, aside, block);
  if (cut.way == GemmWay::blocks) {
    const auto& product = cut.products[block.rows < cut.blocks.rows ? 1 : 0][block.columns < cut.blocks.columns ? 1 : 0];
    void* rest = aside.data + cut.blocks.rows * round_up(cut.blocks.columns, kPanel);
    product->run(left(cut, pointers, 0, block, 0).data, right(cut, pointers, 0, block, 0, 0).data, aside.data, rest);
    accumulate = true;
  }
  for (size_t t = cut.first_in_panels(); t < cut.spec.terms.size(); ++t) {
    const GemmTerm& term = cut.spec.terms[t];
    const bool pack = cut.packs(t);
    const bool in_place = cut.blocks.height == 1 && block.rows == 1 && term.a.dtype == DType::f32 && term.a.column == 1;
    const int64_t piece = in_place && !pack ? term.k : cut.piece(t);
    for (int64_t p = 0; p < term.k; p += piece) {
      const int64_t k = std::min(piece, term.k - p);
      const MatrixRef a = left(cut, pointers, t, block, p);
      const float* rows = in_place ? static_cast<const float*>(a.data) : panels;
      if (cut.packing.left_tasks > 0) {
        rows = shared_left(cut, pointers, t, p, block.row);
      } else if (!in_place) {
        cut.kernels[t].a.pack_left(a, block.rows, k, cut.blocks.height, panels);
      }
      for (int64_t j = 0; j < block.columns; j += kPanel) {
        const int64_t columns = std::min(kPanel, block.columns - j);
        const Sums& sums = columns == ragged ? aside : result;
        const MatrixRef b = right(cut, pointers, t, block, p, j);
        TileArgs tile{rows, b.data, b.row, kChunk, sums.data + j, sums.ld, kChunk, k, accumulate};
        if (pack) {
          tile.b = take_panel(cut, pointers, kept, next, t, block, p, j, packed);
          tile.ldb = kPanel;
        }
        run_panel(cut, t, pack, tile, block, columns, next);
      }
      accumulate = true;
    }
  }
  panels_done(pointers, kept, block);
  if (!accumulate) {
    for (int64_t i = 0; i < block.rows; ++i) std::fill_n(result.data + i * result.ld, block.columns, 0.0f);
  }
  if (cut.is_transposed) {
    finish_transposed(cut, pointers, aside, aside.data + cut.blocks.rows * aside.ld, block);
  } else if (!cut.stores_sums()) {
    finish(cut, pointers, aside, block);
  } else if (ragged != 0 && accumulate) {
    const int64_t first = block.columns - ragged;
    for (int64_t i = 0; i < block.rows; ++i) std::copy_n(aside.data + i * aside.ld + first, ragged, result.data + i * result.ld + first);
  }
}

}  // namespace

void run_tasks(const GemmCut& cut, const GemmPointers& pointers, PackedWeight* weight, float* scratch, int64_t begin, int64_t end) {
  const auto batches = static_cast<int64_t>(cut.spec.a_offsets.size());
  const int64_t blocks = cut.blocks.row_blocks * cut.blocks.column_blocks;
  NextPanel next;
  for (int64_t task = begin; task < end;) {
    const int64_t together = std::min(cut.blocks.neighbours, end - task);
    const int64_t first = task / blocks * cut.blocks.group, last = std::min(first + cut.blocks.group, batches);
    // Blocks of columns one after the other: neighbouring tasks share the larger operand's part.
    const int64_t row = task % blocks % cut.blocks.row_blocks * cut.blocks.rows,
                  column = task % blocks / cut.blocks.row_blocks * cut.blocks.columns;
    Block block{0, row, std::min(cut.blocks.rows, cut.spec.m - row), column, std::min(together * cut.blocks.columns, cut.spec.n - column)};
    for (block.batch = first; block.batch < last; ++block.batch) {
      if (cut.way == GemmWay::dots) {
        run_dots(cut, pointers, scratch, block);
      } else if (cut.way == GemmWay::limbs) {
        run_limbs(cut, pointers, scratch, block);
      } else {
        run_tiles(cut, pointers, weight, scratch, block, next);
      }
    }
    task += together;
  }
}

}  // namespace lazuli::cpu::gemm
