// Declares QuantReader, the numbers of a stored weight one by one: what every kernel is compared with.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "lazuli/quant_format.h"

namespace lazuli {

/// One of the tensors of parts_of in memory, contiguous; no data for an optional one that is not there.
struct QuantData {
  const void* data = nullptr;
  DType dtype = DType::u8;
};

/// Reads a weight (outputs, inputs) of any format of the table.
class QuantReader {
 public:
  /// `parts` as parts_of lists them; `group` as there.
  QuantReader(const QuantFormat& format, int64_t outputs, int64_t inputs, int64_t group, std::span<const QuantData> parts);
  /// Number (i, j), as f32.
  float at(int64_t i, int64_t j) const;

 private:
  float in_block(int64_t i, int64_t j) const;
  float in_rows(int64_t i, int64_t j) const;
  float in_words(int64_t i, int64_t j) const;
  float in_flat(int64_t at) const;
  float real(size_t part, int64_t at) const;
  /// Code `place` of the word.
  int code(size_t part, int64_t word, int64_t place) const;

  const QuantFormat& f_;
  int64_t outputs_, inputs_, group_;
  std::array<QuantData, 5> parts_{};
};

}  // namespace lazuli
