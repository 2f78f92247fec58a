#include "tensor/quant_reader.h"

#include <algorithm>

#include "tensor/convert.h"
#include "tensor/quant_block.h"

namespace lazuli {

QuantReader::QuantReader(const QuantFormat& format, int64_t outputs, int64_t inputs, int64_t group, std::span<const QuantData> parts)
    : f_(format),
      outputs_(outputs),
      inputs_(inputs),
      group_(format.scale.group != 0 ? format.scale.group
             : group != 0            ? group
                                     : inputs) {
  std::copy(parts.begin(), parts.end(), parts_.begin());
}

float QuantReader::at(int64_t i, int64_t j) const {
  if (f_.storage == QuantStorage::blocks) return in_block(i, j);
  if (f_.order == QuantOrder::rows) return in_rows(i, j);
  return f_.order == QuantOrder::flat ? in_flat(i * inputs_ + j) : in_words(i, j);
}

float QuantReader::real(size_t part, int64_t at) const {
  const auto k = static_cast<size_t>(at);
  switch (parts_[part].dtype) {
    case DType::f16:
      return convert_element<float>(static_cast<const f16*>(parts_[part].data)[k]);
    case DType::bf16:
      return convert_element<float>(static_cast<const bf16*>(parts_[part].data)[k]);
    default:
      return static_cast<const float*>(parts_[part].data)[k];
  }
}

float QuantReader::in_block(int64_t i, int64_t j) const {
  const auto* blocks = static_cast<const uint8_t*>(parts_[0].data);
  return quant_block::number_of(f_, blocks + (i * (inputs_ / f_.block) + j / f_.block) * f_.block_bytes, j % f_.block);
}

float QuantReader::in_rows(int64_t i, int64_t j) const {
  const auto* row = static_cast<const uint8_t*>(parts_[0].data) + i * (inputs_ * f_.bits() / 8);
  const int64_t scale = i * (inputs_ / group_) + j / group_;
  const float v = quant_block::value_of(f_, quant_block::bits_at(f_.low, row, j)) * real(1, scale);
  return f_.zero == QuantZero::bias ? v + real(2, scale) : v;
}

int QuantReader::code(size_t part, int64_t word, int64_t place) const {
  const auto bits = static_cast<uint32_t>(static_cast<const int32_t*>(parts_[part].data)[word]);
  return static_cast<int>(bits >> (place * f_.bits()) & ((1U << f_.bits()) - 1));
}

float QuantReader::in_words(int64_t i, int64_t j) const {
  const int64_t in_word = 32 / f_.bits(), packed = outputs_ / in_word;
  const int64_t group = parts_[3].data != nullptr ? static_cast<const int32_t*>(parts_[3].data)[j] : j / group_;
  // Along the outputs a word holds its even codes first.
  const int64_t k = i % in_word, place = f_.order == QuantOrder::outputs ? k / 2 + k % 2 * (in_word / 2) : k;
  const int value =
      f_.order == QuantOrder::inputs ? code(0, j / in_word * outputs_ + i, j % in_word) : code(0, j * packed + i / in_word, place);
  const int zero = code(2, group * packed + i / in_word, place) + (f_.zero == QuantZero::zero_point_plus_1 ? 1 : 0);
  return static_cast<float>(value - zero) * real(1, group * outputs_ + i);
}

float QuantReader::in_flat(int64_t at) const {
  const int code = quant_block::bits_at(f_.low, static_cast<const uint8_t*>(parts_[0].data), at);
  const uint8_t scale = static_cast<const uint8_t*>(parts_[1].data)[at / f_.scale.group];
  return f_.codebook[code] * (real(2, scale) * real(3, at / f_.super_scale.group) + real(4, 0));
}

}  // namespace lazuli
