// Defines the operands of conformance cases: reproducible values in many layouts.
#pragma once

#include <vector>

#include "lazuli/quant_format.h"
#include "lazuli/tensor.h"

namespace lazuli::conformance {

inline const std::vector<DType> kFloats = {DType::f32, DType::bf16, DType::f16, DType::f64};
inline const std::vector<DType> kIntegers = {DType::i32, DType::i64, DType::i8, DType::u8};
inline const std::vector<DType> kNumbers = {DType::f32, DType::bf16, DType::f16, DType::f64, DType::i32, DType::i64, DType::i8, DType::u8};
inline const std::vector<DType> kAll = {DType::f32, DType::bf16, DType::f16, DType::f64,    DType::i32,
                                        DType::i64, DType::i8,   DType::u8,  DType::boolean};

/// How the same elements lie in memory.
enum class Layout { row_major, column_major, stepped, repeated };
inline constexpr Layout kLayouts[] = {Layout::row_major, Layout::column_major, Layout::stepped, Layout::repeated};
const char* name_of(Layout layout);

/// Numbers in [low, high), different for every `seed`; integers for integer dtypes.
Tensor random(DType dtype, const Shape& shape, uint64_t seed, double low = -2, double high = 2);
/// Integers in [0, size).
Tensor random_indices(DType dtype, const Shape& shape, int64_t size, uint64_t seed);
/// Numbers that kernels like to get wrong: zeros, infinities, NaN, very large and very small ones.
Tensor special(DType dtype);
Tensor scalar(DType dtype, double value);
template <class T>
Tensor vector(const std::vector<T>& values) {
  return Tensor::from_vector(values, Shape{static_cast<int64_t>(values.size())});
}
/// The tensor in another layout, the gaps filled with bytes 0xff (NaN in every float dtype). `repeated` shows the first entry of the first
/// axis in every entry, with stride 0; `stepped` has gaps in every axis.
Tensor laid_out(const Tensor& x, Layout layout);
/// The tensor in memory of its own whose last element ends where the page does; the next page cannot be read. Aligned to elements only.
Tensor at_page_end(const Tensor& x);

/// Rows of random blocks of a format, whose scales are finite; (rows, columns / block * block_bytes). `factor`: of all scales that are
/// floats.
Tensor random_blocks(const QuantFormat& format, int64_t rows, int64_t columns, uint64_t seed, float factor = 1);
/// The parts of a random weight of a format that has kernels. `scales`: the dtype of those beside the integers.
std::vector<Tensor> random_parts(const QuantFormat& format, int64_t rows, int64_t columns, DType scales, uint64_t seed);
/// By `has_kernels`.
std::vector<QuantFormatId> formats_with_kernels();

}  // namespace lazuli::conformance
