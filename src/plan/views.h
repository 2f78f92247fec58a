// Declares stride arithmetic of views.
#pragma once

#include <span>

#include "lazuli/shape.h"

namespace lazuli {

bool is_contiguous(const Shape& shape, const Strides& strides);
/// Strides that show `from` broadcast to `to` (NumPy's rule, right-aligned).
Strides expand_strides(const Shape& from, const Strides& strides, const Shape& to);
/// `packed`: one nibble an axis, as Op::transpose has it.
Strides permute_strides(const Strides& strides, int64_t packed);
/// `list`: starts then steps, as Op::slice has it; `*start` is the first element's distance.
Strides slice_strides(const Strides& strides, std::span<const int64_t> list, int64_t* start);
/// Strides that show the elements as `to` without moving them; false where none exist.
bool reshape_strides(const Shape& from, const Strides& strides, const Shape& to, Strides* out);

}  // namespace lazuli
