// Defines weights as integers of 8 or 4 bits with scales, and how a float weight becomes one.
#pragma once

#include <cstdint>
#include <string_view>

#include "lazuli/tensor.h"

namespace lazuli {

/// How a loaded model keeps the weights of its linear layers and its embedding of tokens. In int4 the embedding, the output layer and a
/// decoder's layers of keys, values and attention's results have 8 bits.
enum class Quantization : uint8_t { none, int8, int4 };
///@{
/// By their names: none, int8, int4. Throws ValueError for another one.
Quantization parse_quantization(std::string_view name);
std::string_view name_of(Quantization quantization);
///@}

/// A weight (rows, columns) in the form that quantized_linear takes.
struct QuantizedWeight {
  Tensor values;  ///< 8 bits: (rows, columns) i8; 4 bits: (rows, columns/2) u8
  Tensor scales;  ///< 8 bits: (rows, 1) f32; 4 bits: (rows, columns/32) f16
  int bits = 8;   ///< 8 or 4
  ///@{
  /// Sizes of the weight.
  int64_t rows() const { return values.dim(0); }
  int64_t columns() const { return bits == 8 ? values.dim(1) : 2 * values.dim(1); }
  ///@}
};

/// Rounds a float weight (rows, columns) on the host. 8 bits: one scale a row, by the largest magnitude. 4 bits: one for each 32 numbers of
/// a row, the one of several whose squared error is least. Throws ShapeError, DTypeError, and ValueError for other bits.
QuantizedWeight quantize(const Tensor& weight, int bits);

/// The weight as f32 again.
Tensor dequantized(const QuantizedWeight& weight);

}  // namespace lazuli
