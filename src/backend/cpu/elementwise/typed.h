// Defines the loops of elementwise ops over integers and booleans, and of casts between any dtypes.
#pragma once

#include <cstdint>

#include "lazuli/operation.h"

namespace lazuli::cpu {

/// out[i] = op(a[i], b[i], c[i]) for i < n, all row-major.
using TypedFn = void (*)(const void* a, const void* b, const void* c, void* out, int64_t n);
/// `dtype` is that of the numbers (of where: its branches); comparisons give booleans. Null when there is no such loop.
TypedFn typed_fn(Op op, DType dtype);
TypedFn typed_cast(DType from, DType to);

}  // namespace lazuli::cpu
