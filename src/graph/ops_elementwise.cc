// Implements the recording functions of elementwise ops.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "graph/attrs.h"
#include "graph/ops_common.h"
#include "lazuli/error.h"
#include "lazuli/op.h"

namespace lazuli {

namespace ops {

LazyTensor to_dtype(const LazyTensor& x, DType dtype, Where where) {
  if (x.dtype() == dtype) return x;
  Attrs attrs;
  attrs[attr::cast::dtype] = static_cast<int64_t>(dtype);
  return record(Op::cast, {x}, attrs, nullptr, where);
}

LazyTensor to_float(const LazyTensor& x, Where where) { return is_float(x.dtype()) ? x : to_dtype(x, DType::f32, where); }
LazyTensor to_number(const LazyTensor& x, Where where) { return x.dtype() == DType::boolean ? to_dtype(x, DType::i32, where) : x; }

LazyTensor to_index(const LazyTensor& x, Where where) {
  return x.dtype() == DType::i8 || x.dtype() == DType::u8 ? to_dtype(x, DType::i32, where) : x;
}

LazyTensor to_i32_by_row(const LazyTensor& x, int64_t otherwise, Where where) {
  if (!x.defined()) return LazyTensor::scalar_int(otherwise);
  return x.dtype() == DType::i64 ? to_dtype(x, DType::i32, where) : x;
}

LazyTensor factor(const ScalarArg& s, DType data) {
  if (s.value.defined() && (s.value.dtype() == DType::f32 || s.value.dtype() == DType::f64)) return s.value;
  return s.operand(data == DType::f64 ? DType::f64 : DType::f32);
}

DType weak_dtype(const LazyTensor& x, const ScalarArg& s) {
  const DType t = x.dtype();
  if (is_float(t)) return t;
  if (s.value.defined()) {
    if (is_float(s.value.dtype())) return promote(DType::f32, s.value.dtype());
    return t == DType::boolean ? promote(s.value.dtype(), DType::i32) : t;
  }
  if (s.number != std::floor(s.number)) return DType::f32;
  return t == DType::boolean ? DType::i32 : t;
}

}  // namespace ops

namespace {

using ops::to_dtype;
using ops::to_float;
using ops::to_number;

/// The operand of a unary op, by the op's shape rule: any number, or a float, which of an integer is f32.
LazyTensor operand_of_unary(const LazyTensor& x, Where where) { return to_number(x, where); }
LazyTensor operand_of_unary_float(const LazyTensor& x, Where where) { return to_float(x, where); }

/// The dtype both operands are brought to before the op.
enum class Promotion : uint8_t { any, number, floating };

LazyTensor binary(Op op, const LazyTensor& a, const LazyTensor& b, Where where, Promotion promotion) {
  DType t = promote(a.dtype(), b.dtype());
  if (promotion == Promotion::floating && !is_float(t)) t = DType::f32;
  if (promotion == Promotion::number && t == DType::boolean) t = DType::i32;
  if (a.dtype() == t && b.dtype() == t) return record_binary(op, a, b, where);
  return record_binary(op, to_dtype(a, t, where), to_dtype(b, t, where), where);
}

struct IntegerLimits {
  int64_t low, high;
};

template <class T>
constexpr IntegerLimits limits_of() {
  return {std::numeric_limits<T>::min(), std::numeric_limits<T>::max()};
}

IntegerLimits integer_limits(DType t) {
  switch (t) {
    case DType::i8:
      return limits_of<int8_t>();
    case DType::u8:
      return limits_of<uint8_t>();
    case DType::i32:
      return limits_of<int32_t>();
    default:
      return limits_of<int64_t>();
  }
}

/// Whether `number` lies in the range of an integer dtype; the upper bound of i64 is no double, so it is compared as one past it.
bool holds(DType t, double number) {
  const IntegerLimits limits = integer_limits(t);
  return number >= static_cast<double>(limits.low) && (t == DType::i64 ? number < 0x1p63 : number <= static_cast<double>(limits.high));
}

LazyTensor with_scalar(Op op, const LazyTensor& x, const ScalarArg& s, Where where) {
  const DType t = ops::weak_dtype(x, s);
  const LazyTensor operand = ops::exact_operand(op, s, t);
  return record_binary(op, x.dtype() == t ? x : to_dtype(x, t, where), operand, where);
}

}  // namespace

LazyTensor ops::exact_operand(Op op, const ScalarArg& s, DType dtype) {
  if (!s.value.defined() && is_integer(dtype) && (!holds(dtype, s.number) || s.number != std::floor(s.number))) {
    throw ValueError(fmt::format("[{}] {} does not fit {}", name_of(op), s.number, name_of(dtype)));
  }
  return s.operand(dtype);
}

LazyTensor ScalarArg::operand(DType dtype) const {
  if (value.defined()) {
    if (value.rank() != 0)
      throw ShapeError(fmt::format("a scalar argument has shape {}, no dimensions are expected", to_string(value.shape())));
    return to_dtype(value, dtype, {});
  }
  if (!is_integer(dtype)) return LazyTensor::scalar(number, dtype);
  if (holds(dtype, number)) return LazyTensor::scalar_int(static_cast<int64_t>(number), dtype);
  // Out of range, the nearest number that the dtype has (bounds of clip).
  const IntegerLimits limits = integer_limits(dtype);
  return LazyTensor::scalar_int(number > 0 ? limits.high : limits.low, dtype);
}

#define LAZULI_UNARY(name, traits, rule, vjp) \
  LazyTensor name(const LazyTensor& x, Where where) { return record_unary(Op::name, operand_of_##rule(x, where), where); }
#include "lazuli/ops.def"

LazyTensor logical_not(const LazyTensor& x, Where where) {
  return record_unary(Op::logical_not, to_dtype(x, DType::boolean, where), where);
}
LazyTensor is_finite(const LazyTensor& x, Where where) { return record_unary(Op::is_finite, x, where); }
LazyTensor cast(const LazyTensor& x, DType dtype, Where where) { return to_dtype(x, dtype, where); }
LazyTensor copy(const LazyTensor& x, Where where) { return record_unary(Op::copy, x, where); }

#define LAZULI_BINARY(name, promotion) \
  LazyTensor name(const LazyTensor& a, const LazyTensor& b, Where where) { return binary(Op::name, a, b, where, Promotion::promotion); }
LAZULI_BINARY(add, number)
LAZULI_BINARY(sub, number)
LAZULI_BINARY(mul, number)
LAZULI_BINARY(maximum, number)
LAZULI_BINARY(minimum, number)
LAZULI_BINARY(div, floating)
LAZULI_BINARY(pow, floating)
LAZULI_BINARY(equal, any)
LAZULI_BINARY(not_equal, any)
LAZULI_BINARY(less, any)
LAZULI_BINARY(less_equal, any)
LAZULI_BINARY(greater, any)
LAZULI_BINARY(greater_equal, any)
#undef LAZULI_BINARY

LazyTensor logical_and(const LazyTensor& a, const LazyTensor& b, Where where) {
  return record_binary(Op::logical_and, to_dtype(a, DType::boolean, where), to_dtype(b, DType::boolean, where), where);
}
LazyTensor logical_or(const LazyTensor& a, const LazyTensor& b, Where where) {
  return record_binary(Op::logical_or, to_dtype(a, DType::boolean, where), to_dtype(b, DType::boolean, where), where);
}

LazyTensor where(const LazyTensor& condition, const LazyTensor& a, const LazyTensor& b, Where at) {
  const DType t = promote(a.dtype(), b.dtype());
  return record(Op::where, {to_dtype(condition, DType::boolean, at), to_dtype(a, t, at), to_dtype(b, t, at)}, {}, nullptr, at);
}

LazyTensor clip(const LazyTensor& x, const ScalarArg& low, const ScalarArg& high, Where where) {
  const DType t = promote(ops::weak_dtype(x, low), ops::weak_dtype(x, high));
  return record(Op::clip, {to_dtype(x, t, where), low.operand(t), high.operand(t)}, {}, nullptr, where);
}

LazyTensor add_scalar(const LazyTensor& x, const ScalarArg& s, Where where) { return with_scalar(Op::add, x, s, where); }
LazyTensor mul_scalar(const LazyTensor& x, const ScalarArg& s, Where where) { return with_scalar(Op::mul, x, s, where); }

LazyTensor pow_scalar(const LazyTensor& x, const ScalarArg& s, Where where) {
  const LazyTensor base = to_float(x, where);
  if (!s.value.defined() && s.number == 2) return square(base, where);
  return record_binary(Op::pow, base, s.operand(base.dtype()), where);
}

LazyTensor operator/(const LazyTensor& a, double s) {
  const LazyTensor x = to_float(a, {});
  return record_binary(Op::div, x, LazyTensor::scalar(s, x.dtype()), {});
}
LazyTensor operator/(double s, const LazyTensor& a) {
  const LazyTensor x = to_float(a, {});
  return record_binary(Op::div, LazyTensor::scalar(s, x.dtype()), x, {});
}
LazyTensor operator-(const LazyTensor& a, double s) {
  // An unsigned integer has no -s.
  return is_integer(ops::weak_dtype(a, s)) ? with_scalar(Op::sub, a, s, {}) : add_scalar(a, -s, {});
}
LazyTensor operator-(double s, const LazyTensor& a) {
  const DType t = ops::weak_dtype(a, s);
  return record_binary(Op::sub, ops::exact_operand(Op::sub, s, t), to_dtype(a, t, {}), {});
}

}  // namespace lazuli
