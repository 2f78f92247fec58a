// Defines the copy of strided elements into row-major memory.
#pragma once

#include <cstddef>

#include "lazuli/shape.h"

namespace lazuli {

/// Copies the elements of `element_size` bytes (1, 2, 4 or 8) at `src` with the given strides (in elements, of any
/// sign, 0 repeats) to `dst` in row-major order. The two do not overlap.
void copy_strided(void* dst, const void* src, size_t element_size, const Shape& shape, const Strides& strides);

}  // namespace lazuli
