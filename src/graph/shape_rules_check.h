// Declares the checks that shape rules share; each throws an error that names the op and what was expected.
#pragma once

#include <string>
#include <string_view>

#include "graph/shape_rules.h"

namespace lazuli::shape_rules {

[[noreturn]] void fail_shape(const Request& r, const std::string& text);
[[noreturn]] void fail_dtype(const Request& r, const std::string& text);
[[noreturn]] void fail_value(const Request& r, const std::string& text);

/// An operand by its number. Messages name it as the table does, or by `as` where its number depends on an attribute.
struct Operand {
  Operand(size_t k, std::string_view as = {}) : number(k), name(as) {}  // NOLINT(google-explicit-constructor)
  size_t number;
  std::string_view name;
};

void need_float(const Request& r, size_t k);
/// Any dtype but bool.
void need_number(const Request& r, size_t k);
void need_dtype(const Request& r, const Operand& k, DType dtype);
/// i32 or i64: what indexes an axis.
void need_index(const Request& r, const Operand& k);
/// Operand k has the dtype of operand 0.
void need_same_dtype(const Request& r, size_t k);
void need_all_same_dtype(const Request& r, size_t count);
void need_rank(const Request& r, const Operand& k, int rank);
/// The same of the first `count` operands.
void need_ranks(const Request& r, size_t count, int rank);
void need_min_rank(const Request& r, const Operand& k, int rank);
void need_shape(const Request& r, const Operand& k, const Shape& shape);
/// A rank-0 factor: f32 or f64.
void need_factor(const Request& r, const Operand& k);
/// One number for all rows, or one for each of the `batch` rows of axis 0.
void need_by_row(const Request& r, const Operand& k, int64_t batch);
/// A rank-0 i32 or i64.
void need_offset(const Request& r, const Operand& k);
/// A rank-0 operand of operand 0's dtype.
void need_like_scalar(const Request& r, const Operand& k);
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
