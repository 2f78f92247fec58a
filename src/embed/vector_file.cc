#include "embed/vector_file.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <vector>

#include "base/file.h"
#include "base/json_writer.h"

namespace lazuli {

namespace {

/// Magic, version 1.0, length, and a dictionary padded so that the data starts at a multiple of 64.
std::string npy_header(const Shape& shape) {
  std::string sizes;
  for (int axis = 0; axis < shape.rank(); ++axis)
    sizes += fmt::format("{}{}", shape[axis], axis == 0 || axis + 1 < shape.rank() ? "," : "");
  static_assert(std::endian::native == std::endian::little);
  std::string dictionary = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", sizes);
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
  const auto data = row_major.data<float>();
  AtomicFile file(path);
  file.write(npy_header(row_major.shape()));
  file.write(data.data(), data.size_bytes());
  file.commit();
}

std::string embedding_line(const std::string& text, std::span<const float> vector) {
  JsonWriter words;
  words.value(text);
  std::string line = fmt::format("{{\"text\":{},\"embedding\":[", words.text());
  const char* separator = "";
  for (float v : vector) {
    // The shortest digits of an f32; JSON has no infinities.
    line += std::isfinite(v) ? fmt::format("{}{}", separator, v) : fmt::format("{}null", separator);
    separator = ",";
  }
  return line + "]}\n";
}

void write_embedding_lines(const std::string& path, std::span<const std::string> texts, const Tensor& vectors) {
  const auto data = vectors.data<float>();
  const size_t size = texts.empty() ? 0 : data.size() / texts.size();
  AtomicFile file(path);
  for (size_t k = 0; k < texts.size(); ++k) file.write(embedding_line(texts[k], data.subspan(k * size, size)));
  file.commit();
}

}  // namespace lazuli
