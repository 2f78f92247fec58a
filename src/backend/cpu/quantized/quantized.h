// Defines the kernels of products with weights of 8 or 4 bits: rounding rows of activations to integers, and integer inner products.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lazuli/dtype.h"
#include "lazuli/quant_format.h"

namespace lazuli::cpu {

/// A row of activations for weights of 8 bits: this, then k integers from -127 to 127, then zeros up to a multiple of 64.
struct alignas(64) RoundedRow {
  float scale;  ///< NaN for a row that holds one or an infinity
  int32_t sum;  ///< of the numbers
  int8_t* values() { return reinterpret_cast<int8_t*>(this + 1); }
  const int8_t* values() const { return reinterpret_cast<const int8_t*>(this + 1); }
};
/// A row for weights of 4 bits is made of blocks of 128 numbers, each group of 32 with a scale of its own; zeros fill the last one up.
struct alignas(64) RoundedBlock {
  int8_t even[64], odd[64];  ///< numbers 2j and 2j + 1: what meets the low and the high halves of 64 bytes of a weight
  int32_t start[16];         ///< in the first place of each four, -8 times the sum of their group; else 0
  float scale[16];           ///< of the group of even[4j]
};
inline constexpr int64_t kQuantizedGroup = 32;
inline constexpr int64_t kQuantizedBlock = 128;

/// A row for weights in blocks is made of spans of 256 numbers, each group of 32 with a scale of its own; zeros fill the last one up.
struct alignas(64) RoundedSpan {
  int8_t values[256];
  float scale[8];  ///< NaN for a group that holds one or an infinity
  float sum[8];    ///< of the group's values, times its scale
};
inline constexpr int64_t kQuantizedSpan = 256;

/// Bytes of a row of k numbers.
int64_t rounded_row_bytes(QuantFormatId format, int64_t k);

/// out (rows, columns) = rounded rows times rows of the weight, each by its scales.
struct QuantizedTile {
  const std::byte* x;
  int64_t x_stride;  ///< bytes
  const std::byte* q;
  int64_t q_stride;      ///< bytes
  const void* scales;    ///< null for a weight in blocks
  int64_t scale_stride;  ///< elements
  bool half_scales;      ///< f16, else f32
  int64_t k, rows, columns;
  float* out;
  int64_t ldo;
};

struct QuantizedKernels {
  /// Rounds k values of a float dtype to a row.
  void (*round_row)(const void* x, DType dtype, int64_t k, std::byte* row);
  /// For few rows: bound by reading the weight.
  void (*product)(const QuantizedTile& tile);
  /// For many rows: packs parts of the weight in `scratch`, panel_bytes() aligned to 64. Null where `product` serves them, too.
  void (*panels)(const QuantizedTile& tile, std::byte* scratch);
};
/// Scratch of QuantizedKernels::panels: 32 rows of the weight with their scales.
inline int64_t panel_bytes(int64_t bits, int64_t k) { return (k + 3) / 4 * 128 + 128 * (bits == 8 ? 1 : k / kQuantizedGroup); }
/// Those of a format that has kernels.
QuantizedKernels quantized_kernels(QuantFormatId format);
///@{
/// Those of int8 and int4 (bits: 8 or 4), and of formats in blocks.
QuantizedKernels integer_kernels(int64_t bits);
QuantizedKernels block_kernels(QuantFormatId format);
///@}
/// `n` numbers of a row of a weight in blocks, from the beginning of a block on.
using ExpandBlocks = void (*)(const std::byte* blocks, int64_t n, float* out);
ExpandBlocks expand_blocks(QuantFormatId format);
///@{
/// The products with instructions for 8-bit inner products; null where this processor has none.
void (*quantized_product_vnni(int64_t bits))(const QuantizedTile& tile);
void (*quantized_panels_vnni(int64_t bits))(const QuantizedTile& tile, std::byte* scratch);
///@}

/// An element of scales.
float quantized_scale(const void* scales, bool half, int64_t at);

}  // namespace lazuli::cpu
