// Declares how a float weight becomes a quantised one, and the way back.
#pragma once

#include <cstdint>
#include <string_view>

#include "lazuli/quantized_weight.h"
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

/// Rounds a float weight (rows, columns) on the host. int8: one scale a row, by the largest magnitude. int4: one for each 32 numbers of a
/// row, the one of several whose squared error is least. Throws ShapeError, DTypeError, and ValueError for other formats.
QuantizedWeight quantize(const Tensor& weight, QuantFormatId format);

/// The weight as f32 again, of any format. Throws ShapeError and DTypeError where the parts are not those of the format, and ValueError
/// where one of them holds an index that is out of range.
Tensor dequantized(const QuantizedWeight& weight);

}  // namespace lazuli
