// Defines QuantPolicy, which says in what format each weight of a model is kept.
#pragma once

#include <cstdint>

#include "lazuli/quantize.h"

namespace lazuli {

/// What a weight is to its model, as far as its format depends on it.
enum class WeightRole : uint8_t {
  embedding,  ///< the table of tokens
  output,     ///< the layer that makes logits
  layer,      ///< a linear layer
  sensitive   ///< a linear layer whose rounding costs the most: keys, values and results of attention in a decoder
};

/// Where fewer than 8 bits are asked for, embeddings, output and sensitive layers keep 8.
class QuantPolicy {
 public:
  explicit QuantPolicy(Quantization asked) : asked_(asked) {}
  /// `none`: floats.
  QuantFormatId wanted(WeightRole role) const {
    if (asked_ == Quantization::none) return QuantFormatId::none;
    return asked_ == Quantization::int4 && role == WeightRole::layer ? QuantFormatId::int4 : QuantFormatId::int8;
  }
  /// The same for rows of `columns` numbers: int8 where they do not divide into the wanted format's blocks.
  QuantFormatId format_of(WeightRole role, int64_t columns) const {
    const QuantFormatId format = wanted(role);
    return format == QuantFormatId::none || columns % quant_format(format).block == 0 ? format : QuantFormatId::int8;
  }
  Quantization asked() const { return asked_; }

 private:
  Quantization asked_;
};

}  // namespace lazuli
