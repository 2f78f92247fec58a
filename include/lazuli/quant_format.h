// Defines QuantFormat, the description of how a weight of a few bits is stored, and the one table of formats.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "lazuli/dtype.h"
#include "lazuli/shape.h"

namespace lazuli {

/// The formats of the table, in its order. `none` is no format: the weight is floats.
enum class QuantFormatId : uint8_t { none, int8, int4, q4_0, q8_0, q4_k, q5_k, q6_k, iq4_nl, mxfp4, nf4, affine4, affine8, gptq4, awq4 };
inline constexpr int kQuantFormatCount = 15;  ///< with `none`

/// Where a format keeps its numbers.
enum class QuantStorage : uint8_t {
  blocks,  ///< a row is blocks of bytes, each with its codes, scales and minima
  tensors  ///< codes, scales and zero points are tensors of their own
};

/// The bits of codes, or some of them. `run` codes that follow each other lie in neighbouring bytes at one position; the next `run` lie at
/// the next position of the same bytes, until these are full.
struct QuantBits {
  int bits = 0;             ///< of each code; 0: there are none
  int at = 0;               ///< byte of the block where they begin
  int run = 1;              ///< codes
  bool high_first = false;  ///< the first position is the byte's highest bits
};

/// How a scale, a minimum or a zero point is stored.
enum class QuantNumber : uint8_t {
  none,
  real,              ///< a float dtype: in blocks f16
  exponent,          ///< a byte e: 2^(e - 127)
  byte,              ///< an i8
  six_bits,          ///< 6 bits in the 12 bytes of scales and minima of the K formats: a scale
  six_bits_minimum,  ///< the same: a minimum
  code,              ///< the codes' width, packed as they are
  table              ///< a byte that is an index into a table of 256 floats
};

/// A number that `group` codes share.
struct QuantScale {
  QuantNumber number = QuantNumber::none;  ///< how it is stored
  int at = 0;                              ///< byte of the block
  int group = 0;                           ///< codes of a row; 0: what the shape of the scales says
};

/// What is done beside the multiplication with the scale.
enum class QuantZero : uint8_t {
  none,              ///< scale * code
  minimum,           ///< scale * code - minimum
  bias,              ///< scale * code + minimum
  zero_point,        ///< scale * (code - minimum)
  zero_point_plus_1  ///< scale * (code - (minimum + 1))
};

/// In which order codes fill their tensor.
enum class QuantOrder : uint8_t {
  rows,     ///< along a row of the weight (outputs, inputs)
  inputs,   ///< words of 32 bits along the inputs, as tensor (inputs / codes of a word, outputs)
  outputs,  ///< words of 32 bits along the outputs, the even codes of a word before the odd ones, as tensor (inputs, outputs / codes of a
            ///< word)
  flat      ///< along the rows one after the other, blocks may go across their ends
};

/// How a weight (outputs, inputs) is stored: a row of the table. The value of a code is `scale * (code - offset)`, the code first looked up
/// in `codebook` where there is one, the scale times `super_scale` where there is one, and what `zero` says.
struct QuantFormat {
  QuantFormatId id = QuantFormatId::none;       ///< its place in the table
  std::string_view name;                        ///< as commands and files write it
  QuantStorage storage = QuantStorage::blocks;  ///< where its numbers are
  int block = 1;                                ///< codes of a block; what the inputs must be a multiple of
  int block_bytes = 0;                          ///< of storage `blocks`
  QuantBits low;                                ///< the lowest bits of codes
  QuantBits high;                               ///< the bits above them
  bool is_signed = false;                       ///< codes are two's complement
  int offset = 0;                               ///< taken off a code
  const float* codebook = nullptr;              ///< what each code stands for; null: itself
  float codebook_unit = 1;                      ///< the entries of the codebook are multiples of it; 0 where they are not
  QuantScale scale;                             ///< what codes are multiplied with
  QuantScale super_scale;                       ///< what scales are multiplied with
  QuantZero zero = QuantZero::none;             ///< what becomes of minima or zero points
  QuantScale minimum;                           ///< a minimum, bias or zero point
  QuantScale super_minimum;                     ///< what minima are multiplied with
  QuantOrder order = QuantOrder::rows;          ///< of codes in a tensor of their own
  bool permuted = false;                        ///< an optional tensor says to which group each input belongs
  bool scale_offset = false;                    ///< one more number is added to each scale

  /// Of each code.
  constexpr int bits() const { return low.bits + high.bits; }
  /// Whether products and `dequantize` take it.
  constexpr bool has_kernels() const { return storage == QuantStorage::blocks || (order == QuantOrder::rows && zero == QuantZero::none); }
};

/// The table, without `none`.
std::span<const QuantFormat> quant_formats();
/// Throws ValueError for `none` and numbers outside the table.
const QuantFormat& quant_format(QuantFormatId id);
/// By its name; null where there is none.
const QuantFormat* find_quant_format(std::string_view name);
/// Of the weight; `none` has one, too.
std::string_view name_of(QuantFormatId id);

/// One of the tensors that a stored weight is made of.
struct QuantPart {
  std::string_view name;  ///< values, scales, minima, ...
  Shape shape;            ///< as the tensor has it
  uint32_t dtypes = 0;    ///< a bit for each DType that it may have
  bool optional = false;  ///< the weight may do without it
  /// Whether it may have this dtype.
  bool takes(DType t) const { return (dtypes >> static_cast<int>(t) & 1U) != 0; }
};
inline constexpr size_t kMostQuantParts = 5;  ///< of one weight
/// The tensors of one weight, in the order of QuantizedWeight::parts.
struct QuantParts {
  std::array<QuantPart, kMostQuantParts> list;  ///< the first `count` are in use
  int count = 0;                                ///< how many there are
  ///@{
  /// As a range.
  const QuantPart* begin() const { return list.data(); }
  const QuantPart* end() const { return list.data() + count; }
  ///@}
};
/// The tensors of a weight (outputs, inputs). `group`: how many inputs share a scale where the format leaves that open. Throws ShapeError
/// where these sizes do not divide into the format's blocks and groups.
QuantParts parts_of(const QuantFormat& format, int64_t outputs, int64_t inputs, int64_t group = 0);

}  // namespace lazuli
