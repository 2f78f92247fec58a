// Defines stored_parts, the number of operands that a stored weight takes of quantized_linear.
#pragma once

#include <cstddef>

#include "graph/ops/quantized_linear.h"

namespace lazuli {

/// Of `inputs` operands in all: beside x, and what `with` names.
inline size_t stored_parts(const Attrs& attrs, size_t inputs) {
  const int64_t with = attrs[attr::quantized_linear::with];
  return inputs - 1 - static_cast<size_t>(with & 1) - static_cast<size_t>(with >> 1 & 1);
}

}  // namespace lazuli
