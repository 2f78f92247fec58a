// Declares what the recording functions share: promotion of operands and forms of scalars.
#pragma once

#include "graph/record.h"
#include "lazuli/ops.h"

namespace lazuli::ops {

/// x itself, or a recorded cast.
LazyTensor to_dtype(const LazyTensor& x, DType dtype, Where where);
/// Integers and bool become f32.
LazyTensor to_float(const LazyTensor& x, Where where);
/// bool becomes i32.
LazyTensor to_number(const LazyTensor& x, Where where);
/// i8 and u8 become i32: what indexes an axis.
LazyTensor to_index(const LazyTensor& x, Where where);
/// As i32, of rank 0 or one number a row; the rank-0 `otherwise` when `x` is empty.
LazyTensor to_i32_by_row(const LazyTensor& x, int64_t otherwise, Where where);
/// A rank-0 operand in f32, or f64 beside f64 data.
LazyTensor factor(const ScalarArg& s, DType data);
/// The dtype of `x (+) s` where a plain number takes x's dtype if that can hold it.
DType weak_dtype(const LazyTensor& x, const ScalarArg& s);
/// Throws ValueError for a plain number that an integer dtype does not hold.
LazyTensor exact_operand(Op op, const ScalarArg& s, DType dtype);

}  // namespace lazuli::ops
