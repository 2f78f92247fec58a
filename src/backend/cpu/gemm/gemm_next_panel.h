// Defines NextPanel: the panel of a right operand that is packed while the one before it is used.
#pragma once

#include <algorithm>
#include <cstdint>

#include "backend/cpu/gemm/gemm_kernels.h"
#include "backend/cpu/gemm/gemm_pieces.h"

namespace lazuli::cpu {

/// A panel's memory is asked for while tiles of the panel before are computed, and packed between them, a share at a time: what is asked
/// for is little enough to stay in the caches, whatever the distance of its rows. A panel that is kept is only asked for.
class NextPanel {
 public:
  /// What is packed, a matrix (k, columns), and by what; `element` is the size of its elements.
  struct Source {
    MatrixRef b{};
    int64_t k = 0, columns = 0, element = 0;
    PackRight pack = nullptr;
    float* kept = nullptr;  ///< where it is kept; null: in scratch
    bool done = false;      ///< it is there already
  };

  /// Packs `source` in that many shares, into `scratch` if it is not kept.
  void start(const Source& source, float* scratch, int64_t shares) {
    source_ = source;
    panel_ = source.kept != nullptr ? source.kept : scratch;
    done_ = 0;
    share_ = round_up(divide_up(source.k, std::max<int64_t>(shares, 1)), kChunk);
  }
  /// Tells the next tile, of that many steps, what to ask for.
  Ahead* ask(int64_t steps) {
    const int64_t k = std::min(share_, source_.k - done_);
    if (k <= 0) return nullptr;
    if (source_.done) {
      const int64_t lines = k * kPanel * static_cast<int64_t>(sizeof(float)) / kLine;
      return ask(reinterpret_cast<const std::byte*>(panel_ + done_ * kPanel), lines, 0, lines, steps);
    }
    const bool rows_of_k = source_.b.column == 1;
    if (!rows_of_k && source_.b.row != 1) return nullptr;
    const std::byte* data = at();
    const int64_t rows = rows_of_k ? k : source_.columns, bytes = (rows_of_k ? source_.columns : k) * source_.element;
    const auto aside = static_cast<int64_t>(reinterpret_cast<uintptr_t>(data) % kLine);
    const int64_t lines = divide_up(aside + bytes, kLine);
    return ask(data - aside, lines, (rows_of_k ? source_.b.row : source_.b.column) * source_.element, rows * lines, steps);
  }
  void pack_share() { pack(std::min(share_, source_.k - done_)); }
  /// Packs what is left and returns the panel.
  float* finish() {
    pack(source_.k - done_);
    return panel_;
  }
  bool holds(const Source& source) const {
    const MatrixRef &a = source_.b, &b = source.b;
    return source_.k > 0 && source_.kept == source.kept && a.data == b.data && a.row == b.row && a.column == b.column &&
           source_.k == source.k && source_.columns == source.columns;
  }
  void forget() { source_ = {}; }

 private:
  static constexpr int64_t kLine = 64;

  Ahead* ask(const std::byte* data, int64_t lines, int64_t row_bytes, int64_t all_lines, int64_t steps) {
    ahead_ = {data, lines, row_bytes, all_lines, 0, divide_up(all_lines, std::max<int64_t>(divide_up(steps, kChunk), 1))};
    return &ahead_;
  }
  const std::byte* at() const { return static_cast<const std::byte*>(source_.b.data) + done_ * source_.b.row * source_.element; }
  void pack(int64_t k) {
    if (k <= 0) return;
    if (!source_.done) source_.pack({at(), source_.b.row, source_.b.column}, k, source_.columns, panel_ + done_ * kPanel);
    done_ += k;
  }

  Source source_;
  float* panel_ = nullptr;
  int64_t done_ = 0, share_ = 0;
  Ahead ahead_;
};

}  // namespace lazuli::cpu
