// Declares the writing of vectors as NumPy arrays, as safetensors and as JSON lines.
#pragma once

#include <span>
#include <string>

#include "lazuli/embed.h"

namespace lazuli {

/// Writes an f32, i8 or u8 tensor as NumPy's `.npy`, atomically. Throws IoError, and DTypeError for other tensors.
void write_npy(const std::string& path, const Tensor& values);

/// One line {"text", "embedding"}, with its end; numbers read back as the same f32.
std::string embedding_line(const std::string& text, std::span<const float> vector);

/// The same for a row of (rows, size) f32, i8 or u8; whole numbers are written as such.
std::string embedding_line(const std::string& text, const Tensor& vectors, int64_t row);

/// Writes the tensor `embeddings`, and `ranges` where there are some, atomically. Throws IoError.
void write_embedding_tensors(const std::string& path, const QuantizedVectors& vectors);

/// Writes such a line for each row of `vectors`, atomically. Throws IoError.
void write_embedding_lines(const std::string& path, std::span<const std::string> texts, const Tensor& vectors);

}  // namespace lazuli
