// Declares the checks that shape rules share; each throws an error that names the op and what was expected.
#pragma once

#include <initializer_list>
#include <string>

#include "graph/shape_rules.h"

namespace lazuli::shape_rules {

[[noreturn]] void fail_shape(const Request& r, const std::string& text);
[[noreturn]] void fail_dtype(const Request& r, const std::string& text);
[[noreturn]] void fail_value(const Request& r, const std::string& text);

void need_float(const Request& r, size_t k);
/// Any dtype but bool.
void need_number(const Request& r, size_t k);
/// i32 or i64: what indexes an axis.
void need_index(const Request& r, size_t k, const char* what);
/// Operand k has the dtype of operand 0.
void need_same_dtype(const Request& r, size_t k);
void need_all_same_dtype(const Request& r, size_t count);
void need_rank(const Request& r, size_t k, const char* what, int rank);
/// The same of operands 0, 1, ... by their names.
void need_ranks(const Request& r, std::initializer_list<const char*> names, int rank);
void need_min_rank(const Request& r, size_t k, const char* what, int rank);
void need_shape(const Request& r, size_t k, const char* what, const Shape& shape);
/// A rank-0 factor: f32 or f64.
void need_factor(const Request& r, size_t k, const char* what);
/// One number for all rows, or one for each of the `batch` rows of axis 0.
void need_by_row(const Request& r, size_t k, const char* what, int64_t batch);
/// A rank-0 i32 or i64.
void need_offset(const Request& r, size_t k, const char* what);
/// A rank-0 operand of operand 0's dtype.
void need_like_scalar(const Request& r, size_t k, const char* what);
/// `axis` as an index into `rank` dimensions; it must be normalised already.
int need_axis(const Request& r, int64_t axis, int rank);
const TensorSpec& need_target(const Request& r);
/// Of losses and log-sum-exps beside operand 0: f64 for f64, else f32.
DType statistics_dtype(const Request& r);
/// `value` as a dtype.
DType dtype_attr(const Request& r, int64_t value);

Shape broadcast(const Request& r, const Shape& a, const Shape& b);
/// True when `from` broadcasts to exactly `to`.
bool broadcasts_to(const Shape& from, const Shape& to);
/// x's shape with `axis` replaced by `dims`.
Shape replace_axis(const Shape& x, int axis, std::span<const int64_t> dims);
/// x's shape with another last dim.
Shape with_last(Shape x, int64_t last);
Shape prefix(const Shape& x, int count);

}  // namespace lazuli::shape_rules
