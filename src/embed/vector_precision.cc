// Implements what is done with the vectors of texts before they are stored: truncation, normalisation and rounding to a byte or a bit.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "lazuli/embed.h"
#include "lazuli/error.h"

namespace lazuli {

namespace {

constexpr std::pair<std::string_view, VectorPrecision> kPrecisions[] = {{"f32", VectorPrecision::f32},
                                                                        {"int8", VectorPrecision::int8},
                                                                        {"uint8", VectorPrecision::uint8},
                                                                        {"binary", VectorPrecision::binary},
                                                                        {"ubinary", VectorPrecision::ubinary}};

std::string_view name_in_table(VectorPrecision precision) {
  for (const auto& [name, value] : kPrecisions) {
    if (value == precision) return name;
  }
  return "unknown";
}

void check_vectors(const Tensor& vectors) {
  if (vectors.rank() != 2) {
    throw ShapeError(fmt::format("[quantize_vectors] vectors (texts, dimensions) are expected, got {}", to_string(vectors.shape())));
  }
  if (vectors.dtype() != DType::f32) {
    throw DTypeError(fmt::format("[quantize_vectors] f32 is expected, got {}", name_of(vectors.dtype())));
  }
}

/// (2, dimensions): the smallest and the largest number of each dimension.
Tensor ranges_of(std::span<const float> data, int64_t rows, int64_t size) {
  Tensor ranges = Tensor::zeros(DType::f32, {2, size});
  const auto out = ranges.mutable_data<float>();
  const auto width = static_cast<size_t>(size);
  for (size_t d = 0; d < width; ++d) out[d] = out[width + d] = data[d];
  for (size_t k = width; k < static_cast<size_t>(rows) * width; ++k) {
    const size_t d = k % width;
    out[d] = std::min(out[d], data[k]);
    out[width + d] = std::max(out[width + d], data[k]);
  }
  return ranges;
}

template <class T>
Tensor round_to_steps(std::span<const float> data, const Shape& shape, const Tensor& ranges, float offset) {
  Tensor rounded = Tensor::zeros(std::is_signed_v<T> ? DType::i8 : DType::u8, shape);
  const auto out = rounded.mutable_data<T>();
  const auto range = ranges.data<float>();
  const auto width = static_cast<size_t>(shape[1]);
  for (size_t k = 0; k < data.size(); ++k) {
    const float low = range[k % width], high = range[width + k % width];
    const float step = (high - low) / 255.0F;
    const float value = std::floor((data[k] - low) / (step == 0 ? 1.0F : step));
    out[k] = static_cast<T>(std::clamp(value, 0.0F, 255.0F) - offset);
  }
  return rounded;
}

/// Eight dimensions a byte, the first one in its highest bit; the last byte is filled up with zeros.
template <class T>
Tensor pack_signs(std::span<const float> data, const Shape& shape, int offset) {
  const int64_t bytes = (shape[1] + 7) / 8;
  Tensor packed = Tensor::zeros(std::is_signed_v<T> ? DType::i8 : DType::u8, {shape[0], bytes});
  const auto out = packed.mutable_data<T>();
  for (int64_t k = 0; k < shape[0] * bytes; ++k) {
    const int64_t row = k / bytes, first = k % bytes * 8;
    int byte = 0;
    for (int64_t d = first; d < std::min(first + 8, shape[1]); ++d) {
      if (data[static_cast<size_t>(row * shape[1] + d)] > 0) byte |= 0x80 >> (d - first);
    }
    out[static_cast<size_t>(k)] = static_cast<T>(byte - offset);
  }
  return packed;
}

}  // namespace

VectorPrecision parse_vector_precision(std::string_view name) {
  for (const auto& [known, value] : kPrecisions) {
    if (known == name) return value;
  }
  throw ValueError(fmt::format("[embed] f32, int8, uint8, binary or ubinary is expected as the precision, got '{}'", name));
}

QuantizedVectors quantize_vectors(const Tensor& vectors, VectorPrecision precision) {
  check_vectors(vectors);
  const Tensor values = vectors.to(Device{}).contiguous();
  const auto data = values.data<float>();
  const Shape shape = values.shape();
  if (precision == VectorPrecision::f32) return {values, {}};
  if (precision == VectorPrecision::binary) return {pack_signs<int8_t>(data, shape, 128), {}};
  if (precision == VectorPrecision::ubinary) return {pack_signs<uint8_t>(data, shape, 0), {}};
  if (shape[0] < 2) {
    throw ValueError(fmt::format("[quantize_vectors] at least two vectors are expected for {}, whose ranges are those of the vectors",
                                 name_in_table(precision)));
  }
  for (size_t k = 0; k < data.size(); ++k) {
    if (std::isfinite(data[k])) continue;
    throw ValueError(fmt::format("[quantize_vectors] finite numbers are expected for {}, got {} in vector {}", name_in_table(precision),
                                 data[k], k / static_cast<size_t>(shape[1])));
  }
  const Tensor ranges = ranges_of(data, shape[0], shape[1]);
  if (precision == VectorPrecision::uint8) return {round_to_steps<uint8_t>(data, shape, ranges, 0), ranges};
  return {round_to_steps<int8_t>(data, shape, ranges, 128), ranges};
}

Tensor truncate_vectors(const Tensor& vectors, int64_t dimensions, bool normalize) {
  check_vectors(vectors);
  const int64_t size = vectors.dim(1);
  if (dimensions < 1 || dimensions > size) {
    throw ValueError(fmt::format("[embed] 1 to {} dimensions are expected, as many as the vectors have, got {}", size, dimensions));
  }
  Tensor out = Tensor::zeros(DType::f32, {vectors.dim(0), dimensions});
  const Tensor values = vectors.to(Device{}).contiguous();
  const auto from = values.data<float>();
  const auto to = out.mutable_data<float>();
  for (int64_t row = 0; row < vectors.dim(0); ++row) {
    const auto cut = to.subspan(static_cast<size_t>(row * dimensions), static_cast<size_t>(dimensions));
    std::copy_n(from.subspan(static_cast<size_t>(row * size)).begin(), cut.size(), cut.begin());
    if (!normalize) continue;
    double squares = 0;
    for (const float v : cut) squares += static_cast<double>(v) * static_cast<double>(v);
    const auto length = static_cast<float>(std::max(std::sqrt(squares), 1e-12));
    for (float& v : cut) v /= length;
  }
  return out;
}

}  // namespace lazuli
