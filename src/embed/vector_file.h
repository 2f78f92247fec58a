// Declares the writing of vectors as NumPy arrays and as JSON lines.
#pragma once

#include <span>
#include <string>

#include "lazuli/tensor.h"

namespace lazuli {

/// Writes a row-major f32 tensor as NumPy's `.npy`, atomically. Throws IoError.
void write_npy(const std::string& path, const Tensor& values);

/// One line {"text", "embedding"}, with its end; numbers read back as the same f32.
std::string embedding_line(const std::string& text, std::span<const float> vector);

/// Writes such a line for each row of `vectors`, atomically. Throws IoError.
void write_embedding_lines(const std::string& path, std::span<const std::string> texts, const Tensor& vectors);

}  // namespace lazuli
