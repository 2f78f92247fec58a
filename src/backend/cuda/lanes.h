// Defines Lanes, the rows of elements along one axis of a row-major shape.
#pragma once

#include "lazuli/shape.h"

namespace lazuli::cuda {

/// Row r holds the elements (r / inner * count + j) * inner + r % inner for j < count.
struct Lanes {
  Lanes(const Shape& shape, int64_t axis) {
    for (int i = 0; i < shape.rank(); ++i) {
      if (i < axis) outer *= shape[i];
      if (i == axis) count = shape[i];
      if (i > axis) inner *= shape[i];
    }
  }
  int64_t rows() const { return outer * inner; }
  int64_t outer = 1, count = 1, inner = 1;
};

}  // namespace lazuli::cuda
