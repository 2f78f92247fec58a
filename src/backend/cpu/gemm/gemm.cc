#include "backend/cpu/gemm/gemm.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "backend/cpu/gemm/gemm_pieces.h"

namespace lazuli::cpu {

namespace {

const void* advance(const void* data, DType dtype, int64_t elements) {
  return static_cast<const std::byte*>(data) + elements * static_cast<int64_t>(size_of(dtype));
}

}  // namespace

void Gemm::run(const GemmPointers& given, void* scratch, int64_t begin, int64_t end) const {
  PackedWeight* weight = given.weight;
  if (runs_transposed(weight)) {
    const Share share(begin, end, tasks(), transposed_->straight_tasks());
    transposed_->run_tasks(transposed(given), weight, static_cast<float*>(scratch), share.begin, share.end);
    return;
  }
  GemmPointers pointers = given;
  if (swapped_) std::swap(pointers.a[0], pointers.b[0]);
  if (way_ == Way::limbs && is_transposed_) pointers.swap_sides();
  if (begin == 0 && (right_packs_ > 0 || pack_tasks() == 0)) count_rows(given);
  if (weight != nullptr && weight->by() != by_) weight = nullptr;
  const Share share(begin, end, tasks(), straight_tasks());
  run_tasks(pointers, weight, static_cast<float*>(scratch), share.begin, share.end);
}

void Gemm::run_tasks(const GemmPointers& pointers, PackedWeight* weight, float* scratch, int64_t begin, int64_t end) const {
  const auto batches = static_cast<int64_t>(spec_.a_offsets.size());
  const int64_t blocks = row_blocks_ * column_blocks_;
  NextPanel next;
  for (int64_t task = begin; task < end;) {
    const int64_t together = std::min(neighbours_, end - task);
    const int64_t first = task / blocks * group_, last = std::min(first + group_, batches);
    // Blocks of columns one after the other: neighbouring tasks share the larger operand's part.
    const int64_t row = task % blocks % row_blocks_ * block_rows_, column = task % blocks / row_blocks_ * block_columns_;
    Block block{0, row, std::min(block_rows_, spec_.m - row), column, std::min(together * block_columns_, spec_.n - column)};
    for (block.batch = first; block.batch < last; ++block.batch) {
      if (way_ == Way::dots) {
        run_dots(pointers, scratch, block);
      } else if (way_ == Way::limbs) {
        run_limbs(pointers, scratch, block);
      } else {
        run_tiles(pointers, weight, scratch, block, next);
      }
    }
    task += together;
  }
}

MatrixRef Gemm::left(const GemmPointers& pointers, size_t term, const Block& block, int64_t first_k) const {
  const MatrixLayout& a = spec_.terms[term].a;
  const int64_t batch = term == 0 ? spec_.a_offsets[static_cast<size_t>(block.batch)] : 0;
  return {advance(pointers.a[term], a.dtype, batch + block.row * a.row + first_k * a.column), a.row, a.column};
}

MatrixRef Gemm::right(const GemmPointers& pointers, size_t term, const Block& block, int64_t first_k, int64_t first_column) const {
  const MatrixLayout& b = spec_.terms[term].b;
  const int64_t batch = term == 0 ? spec_.b_offsets[static_cast<size_t>(block.batch)] : 0;
  return {advance(pointers.b[term], b.dtype, batch + first_k * b.row + (block.column + first_column) * b.column), b.row, b.column};
}

Gemm::Sums Gemm::sums_in_result(const GemmPointers& pointers, const Block& block) const {
  return {static_cast<float*>(pointers.out) + (block.batch * spec_.m + block.row) * spec_.n + block.column, spec_.n};
}

void Gemm::run_tiles(const GemmPointers& pointers, PackedWeight* weight, float* scratch, const Block& block, NextPanel& next) const {
  float* const panels = scratch;
  float* const packed = panels + round_up(left_floats(), kChunk);
  const Sums aside{packed + 2 * right_floats(), way_ == Way::blocks ? block.columns : round_up(block.columns, kPanel)};
  const Sums result = stores_sums() ? sums_in_result(pointers, block) : aside;
  // A packed panel is stored in whole chunks: one that ends elsewhere takes the way through scratch.
  bool packs_any = false;
  for (size_t t = 0; t < spec_.terms.size(); ++t) packs_any = packs_any || packs(t);
  const int64_t ragged = packs_any && block.columns % kChunk != 0 ? block.columns % kPanel : 0;
  const Kept kept = claim_panels(pointers, weight, block);
  bool accumulate = is_transposed_;
  if (is_transposed_) run_transposed(pointers, *weight, aside, block);
  if (way_ == Way::blocks) {
    const auto& product = products_[block.rows < block_rows_ ? 1 : 0][block.columns < block_columns_ ? 1 : 0];
    void* rest = aside.data + block_rows_ * round_up(block_columns_, kPanel);
    product->run(left(pointers, 0, block, 0).data, right(pointers, 0, block, 0, 0).data, aside.data, rest);
    accumulate = true;
  }
  for (size_t t = first_in_panels(); t < spec_.terms.size(); ++t) {
    const GemmTerm& term = spec_.terms[t];
    const bool pack = packs(t);
    const bool in_place = height_ == 1 && block.rows == 1 && term.a.dtype == DType::f32 && term.a.column == 1;
    const int64_t piece = in_place && !pack ? term.k : piece_of(term.k, tuning_.piece_of_k);
    for (int64_t p = 0; p < term.k; p += piece) {
      const int64_t k = std::min(piece, term.k - p);
      const MatrixRef a = left(pointers, t, block, p);
      const float* rows = in_place ? static_cast<const float*>(a.data) : panels;
      if (left_packs_ > 0) {
        rows = shared_left(pointers, t, p, block.row);
      } else if (!in_place) {
        kernels_[t].a.pack_left(a, block.rows, k, height_, panels);
      }
      for (int64_t j = 0; j < block.columns; j += kPanel) {
        const int64_t columns = std::min(kPanel, block.columns - j);
        const Sums& sums = columns == ragged ? aside : result;
        const MatrixRef b = right(pointers, t, block, p, j);
        TileArgs tile{rows, b.data, b.row, kChunk, sums.data + j, sums.ld, kChunk, k, accumulate};
        if (pack) {
          tile.b = take_panel(pointers, kept, next, t, block, p, j, packed);
          tile.ldb = kPanel;
        }
        run_panel(t, pack, tile, block, columns, next);
      }
      accumulate = true;
    }
  }
  panels_done(pointers, kept, block);
  if (!accumulate) {
    for (int64_t i = 0; i < block.rows; ++i) std::fill_n(result.data + i * result.ld, block.columns, 0.0f);
  }
  if (is_transposed_) {
    finish_transposed(pointers, aside, aside.data + block_rows_ * aside.ld, block);
  } else if (!stores_sums()) {
    finish(pointers, aside, block);
  } else if (ragged != 0 && accumulate) {
    const int64_t first = block.columns - ragged;
    for (int64_t i = 0; i < block.rows; ++i) std::copy_n(aside.data + i * aside.ld + first, ragged, result.data + i * result.ld + first);
  }
}

NextPanel::Source Gemm::panel_at(const GemmPointers& pointers, const Kept& kept, size_t term, const Block& block, int64_t first_k,
                                 int64_t column) const {
  const GemmTerm& sum = spec_.terms[term];
  NextPanel::Source source{right(pointers, term, block, first_k, column), std::min(piece_of(sum.k, tuning_.piece_of_k), sum.k - first_k),
                           std::min(kPanel, spec_.n - block.column - column), static_cast<int64_t>(size_of(sum.b.dtype)),
                           kernels_[term].b.pack_right};
  if (right_packs_ > 0) {
    source.kept = shared_right(pointers, term, first_k, block.column + column);
    source.done = true;
  }
  if (term == 0 && kept.weight != nullptr && !is_transposed_) {
    const int64_t panel = pointers.first_panel + (block.column + column) / kPanel;
    const bool fills = column < block.columns && (kept.claimed >> (column / kPanel) & 1) != 0;
    const bool done = !fills && kept.weight->done(panel);
    source.done = source.done || done;
    if (fills || done) source.kept = kept.weight->panel(panel) + first_k * kPanel;
  }
  return source;
}

/// Packs the panel, where that has not been done, and begins with the one that follows. `packed` has room for two.
const float* Gemm::take_panel(const GemmPointers& pointers, const Kept& kept, NextPanel& next, size_t term, const Block& block,
                              int64_t first_k, int64_t column, float* packed) const {
  const NextPanel::Source source = panel_at(pointers, kept, term, block, first_k, column);
  if (!next.holds(source)) next.start(source, packed, 1);
  float* panel = next.finish();
  float* other = panel == packed ? packed + right_floats() : packed;
  const int64_t piece = piece_of(spec_.terms[term].k, tuning_.piece_of_k), shares = divide_up(block.rows, height_);
  next.forget();
  if (column + kPanel < block.columns) {
    next.start(panel_at(pointers, kept, term, block, first_k, column + kPanel), other, shares);
  } else if (first_k + piece < spec_.terms[term].k) {
    next.start(panel_at(pointers, kept, term, block, first_k + piece, 0), other, shares);
  } else if (term + 1 < spec_.terms.size()) {
    if (packs(term + 1)) next.start(panel_at(pointers, kept, term + 1, block, 0, 0), other, shares);
  } else if (const size_t first = first_in_panels(); row_blocks_ == 1 && block.column + block.columns < spec_.n && packs(first)) {
    // Of the next task, most often of the same thread; who fills a panel that is to be kept is not known yet.
    const NextPanel::Source after = panel_at(pointers, kept, first, block, 0, block.columns);
    if (kept.weight == nullptr || after.done) next.start(after, other, shares);
  }
  return panel;
}

/// All rows of the block times one panel.
void Gemm::run_panel(size_t term, bool pack, TileArgs tile, const Block& block, int64_t columns, NextPanel& next) const {
  const GemmKernels& set = pack ? f32_ : kernels_[term].b;
  const int64_t rounded = round_up(tile.k, kChunk);
  const auto size = static_cast<int64_t>(size_of(spec_.terms[term].b.dtype));
  for (int64_t i = 0; i < block.rows; i += height_) {
    const auto h = static_cast<size_t>(std::min(height_, block.rows - i));
    tile.ahead = next.ask(tile.k);
    if (is_transposed_ || columns == kPanel || (pack && columns > kChunk)) {
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

void Gemm::run_dots(const GemmPointers& pointers, float* scratch, const Block& block) const {
  float* const rows = scratch;
  float* const columns = rows + round_up(left_floats(), kChunk);
  const Sums aside{columns + right_floats(), block.columns};
  const Sums sums = stores_sums() ? sums_in_result(pointers, block) : aside;
  for (size_t t = 0; t < spec_.terms.size(); ++t) {
    const GemmTerm& term = spec_.terms[t];
    const int64_t packed = round_up(term.k, kChunk);
    const MatrixRef a = left(pointers, t, block, 0), b = right(pointers, t, block, 0, 0);
    DotArgs dot{static_cast<const float*>(a.data), a.row, b.data, b.column, sums.data, sums.ld, term.k, block.rows, block.columns, t > 0};
    DotKernel kernel = kernels_[t].b.dot;
    if (term.a.dtype != DType::f32 || a.column != 1) {
      kernels_[t].a.pack_left(a, block.rows, term.k, 1, rows);
      dot.x = rows;
      dot.ldx = packed;
    }
    if (b.row != 1) {
      kernels_[t].b.pack_left({b.data, b.column, b.row}, block.columns, term.k, 1, columns);
      dot.w = columns;
      dot.ldw = packed;
      kernel = f32_.dot;
    }
    kernel(dot);
  }
  if (!stores_sums()) finish(pointers, sums, block);
}

}  // namespace lazuli::cpu
