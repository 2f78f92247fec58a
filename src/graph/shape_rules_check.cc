// Implements the checks that shape rules share.
#include "graph/shape_rules_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "graph/operands.h"
#include "lazuli/error.h"

namespace lazuli::shape_rules {

void fail_shape(const Request& r, const std::string& text) { throw ShapeError(fmt::format("[{}] {}", r.name(), text)); }
void fail_dtype(const Request& r, const std::string& text) { throw DTypeError(fmt::format("[{}] {}", r.name(), text)); }
void fail_value(const Request& r, const std::string& text) { throw ValueError(fmt::format("[{}] {}", r.name(), text)); }

namespace {

std::string_view word_of(const Request& r, const Operand& k) { return k.name.empty() ? operand_name(r.op, k.number) : k.name; }

}  // namespace

void need_float(const Request& r, size_t k) {
  if (!is_float(r.in(k).dtype)) fail_dtype(r, fmt::format("operand {}: a float dtype is expected, got {}", k, name_of(r.in(k).dtype)));
}
void need_number(const Request& r, size_t k) {
  if (r.in(k).dtype == DType::boolean) fail_dtype(r, fmt::format("operand {}: a numeric dtype is expected, got bool", k));
}
void need_dtype(const Request& r, const Operand& k, DType dtype) {
  const DType t = r.in(k.number).dtype;
  if (t != dtype) fail_dtype(r, fmt::format("{}: {} is expected, got {}", word_of(r, k), name_of(dtype), name_of(t)));
}
void need_index(const Request& r, const Operand& k) {
  const DType t = r.in(k.number).dtype;
  if (t != DType::i32 && t != DType::i64) fail_dtype(r, fmt::format("{}: i32 or i64 is expected, got {}", word_of(r, k), name_of(t)));
}
void need_same_dtype(const Request& r, size_t k) {
  if (r.in(k).dtype != r.in(0).dtype) {
    fail_dtype(r, fmt::format("operand {} is {} where {}, the dtype of operand 0, is expected", k, name_of(r.in(k).dtype),
                              name_of(r.in(0).dtype)));
  }
}
void need_all_same_dtype(const Request& r, size_t count) {
  for (size_t k = 1; k < count; ++k) need_same_dtype(r, k);
}
void need_rank(const Request& r, const Operand& k, int rank) {
  if (r.in(k.number).shape.rank() != rank) {
    fail_shape(r, fmt::format("{}: {} dimensions are expected, got shape {}", word_of(r, k), rank, to_string(r.in(k.number).shape)));
  }
}
void need_ranks(const Request& r, size_t count, int rank) {
  for (size_t k = 0; k < count; ++k) need_rank(r, k, rank);
}
void need_min_rank(const Request& r, const Operand& k, int rank) {
  if (r.in(k.number).shape.rank() < rank) {
    fail_shape(r,
               fmt::format("{}: at least {} dimensions are expected, got shape {}", word_of(r, k), rank, to_string(r.in(k.number).shape)));
  }
}
void need_shape(const Request& r, const Operand& k, const Shape& shape) {
  if (!(r.in(k.number).shape == shape)) {
    fail_shape(r, fmt::format("{}: shape {} is expected, got {}", word_of(r, k), to_string(shape), to_string(r.in(k.number).shape)));
  }
}
void need_factor(const Request& r, const Operand& k) {
  need_rank(r, k, 0);
  const DType t = r.in(k.number).dtype;
  if (t != DType::f32 && t != DType::f64) fail_dtype(r, fmt::format("{}: f32 or f64 is expected, got {}", word_of(r, k), name_of(t)));
}
void need_by_row(const Request& r, const Operand& k, int64_t batch) {
  const Shape& shape = r.in(k.number).shape;
  if (shape.rank() == 0 || shape == Shape{batch}) return;
  fail_shape(r, fmt::format("{}: one number, or one for each of the {} rows of axis 0, is expected, got {}", word_of(r, k), batch,
                            to_string(shape)));
}
void need_offset(const Request& r, const Operand& k) {
  need_rank(r, k, 0);
  need_index(r, k);
}
void need_like_scalar(const Request& r, const Operand& k) {
  need_rank(r, k, 0);
  need_same_dtype(r, k.number);
}

int need_axis(const Request& r, int64_t axis, int rank) {
  if (axis < 0 || axis >= rank) fail_shape(r, fmt::format("axis {} is out of range for {} dimensions", axis, rank));
  return static_cast<int>(axis);
}

const TensorSpec& need_target(const Request& r) {
  if (r.target == nullptr) fail_value(r, "the dtype and shape of the result must be given");
  return *r.target;
}

DType statistics_dtype(const Request& r) { return r.in(0).dtype == DType::f64 ? DType::f64 : DType::f32; }

DType dtype_attr(const Request& r, int64_t value) {
  if (value < 0 || value >= kDTypeCount) fail_value(r, fmt::format("{} is not a dtype", value));
  return static_cast<DType>(value);
}

Shape broadcast(const Request& r, const Shape& a, const Shape& b) {
  if (a == b) return a;
  Shape out;
  out.resize(std::max(a.rank(), b.rank()));
  for (int i = 1; i <= out.rank(); ++i) {
    const int64_t x = i <= a.rank() ? a[a.rank() - i] : 1;
    const int64_t y = i <= b.rank() ? b[b.rank() - i] : 1;
    if (x != y && x != 1 && y != 1) fail_shape(r, fmt::format("shapes {} and {} do not broadcast", to_string(a), to_string(b)));
    out[out.rank() - i] = x == 1 ? y : x;
  }
  return out;
}

bool broadcasts_to(const Shape& from, const Shape& to) {
  if (from.rank() > to.rank()) return false;
  const int skip = to.rank() - from.rank();
  for (int i = 0; i < from.rank(); ++i) {
    if (from[i] != 1 && from[i] != to[i + skip]) return false;
  }
  return true;
}

Shape replace_axis(const Shape& x, int axis, std::span<const int64_t> dims) {
  Shape out;
  for (int i = 0; i < axis; ++i) out.push_back(x[i]);
  for (int64_t d : dims) out.push_back(d);
  for (int i = axis + 1; i < x.rank(); ++i) out.push_back(x[i]);
  return out;
}

Shape with_last(Shape x, int64_t last) {
  x[x.rank() - 1] = last;
  return x;
}
Shape prefix(const Shape& x, int count) { return Shape(x.span().first(static_cast<size_t>(count))); }

}  // namespace lazuli::shape_rules
