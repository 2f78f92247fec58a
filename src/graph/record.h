// Declares the recording short cuts for elementwise ops, which copy no handle and make no list.
#pragma once

#include "lazuli/lazy_tensor.h"

namespace lazuli {

/// Records an op of one or two operands that are already of the dtype the op wants.
LazyTensor record_unary(Op op, const LazyTensor& x, Where where);
LazyTensor record_binary(Op op, const LazyTensor& a, const LazyTensor& b, Where where);

}  // namespace lazuli
