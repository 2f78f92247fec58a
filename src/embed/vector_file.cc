#include "embed/vector_file.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <functional>
#include <map>

#include "base/file.h"
#include "base/json_writer.h"
#include "lazuli/error.h"
#include "lazuli/safetensors.h"

namespace lazuli {

namespace {

const char* npy_type(DType dtype) {
  if (dtype == DType::f32) return "<f4";
  if (dtype == DType::i8) return "|i1";
  if (dtype == DType::u8) return "|u1";
  throw DTypeError(fmt::format("[write_npy] f32, i8 or u8 is expected, got {}", name_of(dtype)));
}

/// Magic, version 1.0, length, and a dictionary padded so that the data starts at a multiple of 64.
std::string npy_header(const Shape& shape, DType dtype) {
  std::string sizes;
  for (int axis = 0; axis < shape.rank(); ++axis)
    sizes += fmt::format("{}{}", shape[axis], axis == 0 || axis + 1 < shape.rank() ? "," : "");
  static_assert(std::endian::native == std::endian::little);
  std::string dictionary = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", npy_type(dtype), sizes);
  constexpr size_t before = 10;
  dictionary.append(63 - (before + dictionary.size()) % 64, ' ');
  dictionary += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(dictionary.size() & 0xFF);
  header += static_cast<char>(dictionary.size() >> 8);
  return header + dictionary;
}

}  // namespace

void write_npy(const std::string& path, const Tensor& values) {
  const Tensor row_major = values.contiguous();
  const std::string header = npy_header(row_major.shape(), row_major.dtype());
  AtomicFile file(path);
  file.write(header);
  file.write(row_major.raw(), row_major.nbytes());
  file.commit();
}

namespace {

std::string line_of(const std::string& text, size_t count, const std::function<void(std::string& line, size_t k)>& number) {
  JsonWriter words;
  words.value(text);
  std::string line = fmt::format("{{\"text\":{},\"embedding\":[", words.text());
  for (size_t k = 0; k < count; ++k) {
    if (k > 0) line += ',';
    number(line, k);
  }
  return line + "]}\n";
}

template <class T>
std::string integer_line(const std::string& text, const Tensor& vectors, int64_t row) {
  const auto size = static_cast<size_t>(vectors.dim(1));
  const auto numbers = vectors.data<T>().subspan(static_cast<size_t>(row) * size, size);
  return line_of(text, size, [&](std::string& line, size_t k) { line += std::to_string(numbers[k]); });
}

}  // namespace

std::string embedding_line(const std::string& text, std::span<const float> vector) {
  return line_of(text, vector.size(), [&](std::string& line, size_t k) {
    // The shortest digits of an f32; JSON has no infinities.
    line += std::isfinite(vector[k]) ? fmt::format("{}", vector[k]) : std::string("null");
  });
}

std::string embedding_line(const std::string& text, const Tensor& vectors, int64_t row) {
  if (vectors.dtype() == DType::i8) return integer_line<int8_t>(text, vectors, row);
  if (vectors.dtype() == DType::u8) return integer_line<uint8_t>(text, vectors, row);
  const auto size = static_cast<size_t>(vectors.dim(1));
  return embedding_line(text, vectors.data<float>().subspan(static_cast<size_t>(row) * size, size));
}

void write_embedding_tensors(const std::string& path, const QuantizedVectors& vectors) {
  std::map<std::string, Tensor> tensors = {{"embeddings", vectors.values}};
  if (vectors.ranges.defined()) tensors["ranges"] = vectors.ranges;
  save_safetensors(path, tensors);
}

void write_embedding_lines(const std::string& path, std::span<const std::string> texts, const Tensor& vectors) {
  AtomicFile file(path);
  for (size_t k = 0; k < texts.size(); ++k) file.write(embedding_line(texts[k], vectors, static_cast<int64_t>(k)));
  file.commit();
}

}  // namespace lazuli
