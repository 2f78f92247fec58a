// Implements the elementwise ops: floats in double, integers in int64 with wrapping.
#include "backend/reference/scalar_ops.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "lazuli/error.h"
#include "lazuli/op.h"

namespace lazuli::reference {

namespace {

constexpr double kHalfRoot = 0.70710678118654752440;       // 1/sqrt(2)
constexpr double kRootTwoOverPi = 0.79788456080286535588;  // sqrt(2/pi)

[[noreturn]] void not_elementwise(Op op) { throw GraphError("[" + std::string(name_of(op)) + "] not an elementwise op"); }

/// NaN in either operand gives NaN.
double maximum(double a, double b) { return std::isnan(a) || a > b ? a : b; }
double minimum(double a, double b) { return std::isnan(a) || a < b ? a : b; }

double apply_real(Op op, double a, double b, double c) {
  switch (op) {
    case Op::add:
      return a + b;
    case Op::sub:
      return a - b;
    case Op::mul:
      return a * b;
    case Op::div:
      return a / b;
    case Op::pow:
      return std::pow(a, b);
    case Op::maximum:
      return maximum(a, b);
    case Op::minimum:
      return minimum(a, b);
    case Op::clip:
      return minimum(maximum(a, b), c);
    default:
      return apply_unary(op, a);
  }
}

int64_t wrapping(uint64_t v) { return static_cast<int64_t>(v); }

/// Truncates towards zero; x/0 is 0, so that no input can stop the program.
int64_t divide(int64_t a, int64_t b) {
  if (b == 0) return 0;
  return b == -1 ? wrapping(-static_cast<uint64_t>(a)) : a / b;
}

Number apply_integer(Op op, int64_t a, int64_t b, int64_t c) {
  const auto ua = static_cast<uint64_t>(a), ub = static_cast<uint64_t>(b);
  switch (op) {
    case Op::neg:
      return Number::of(wrapping(-ua));
    case Op::abs:
      return Number::of(a < 0 ? wrapping(-ua) : a);
    case Op::sign:
      return Number::of(static_cast<int64_t>((a > 0) - (a < 0)));
    case Op::square:
      return Number::of(wrapping(ua * ua));
    case Op::relu:
      return Number::of(std::max(a, int64_t{0}));
    case Op::add:
      return Number::of(wrapping(ua + ub));
    case Op::sub:
      return Number::of(wrapping(ua - ub));
    case Op::mul:
      return Number::of(wrapping(ua * ub));
    case Op::div:
      return Number::of(divide(a, b));
    case Op::maximum:
      return Number::of(std::max(a, b));
    case Op::minimum:
      return Number::of(std::min(a, b));
    case Op::clip:
      return Number::of(std::min(std::max(a, b), c));
    default:
      return Number::of(apply_real(op, static_cast<double>(a), static_cast<double>(b), static_cast<double>(c)));
  }
}

template <class T>
bool compare(Op op, T a, T b) {
  switch (op) {
    case Op::equal:
      return a == b;
    case Op::not_equal:
      return a != b;
    case Op::less:
      return a < b;
    case Op::less_equal:
      return a <= b;
    case Op::greater:
      return a > b;
    case Op::greater_equal:
      return a >= b;
    default:
      not_elementwise(op);
  }
}

int64_t integer_of(const Number& v) { return convert(v, DType::i64).i; }

}  // namespace

double apply_unary(Op op, double x) {
  switch (op) {
    case Op::copy:
      return x;
    case Op::neg:
      return -x;
    case Op::abs:
      return std::fabs(x);
    case Op::sign:
      return std::isnan(x) ? x : static_cast<double>((x > 0) - (x < 0));
    case Op::square:
      return x * x;
    case Op::exp:
      return std::exp(x);
    case Op::log:
      return std::log(x);
    case Op::sqrt:
      return std::sqrt(x);
    case Op::rsqrt:
      return 1 / std::sqrt(x);
    case Op::reciprocal:
      return 1 / x;
    case Op::sin:
      return std::sin(x);
    case Op::cos:
      return std::cos(x);
    case Op::tanh:
      return std::tanh(x);
    case Op::erf:
      return std::erf(x);
    case Op::sigmoid:
      return 1 / (1 + std::exp(-x));
    case Op::relu:
      return std::isnan(x) || x > 0 ? x : 0;
    case Op::gelu:
      return 0.5 * x * (1 + std::erf(x * kHalfRoot));
    case Op::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(kRootTwoOverPi * (x + 0.044715 * x * x * x)));
    case Op::silu:
      return x / (1 + std::exp(-x));
    default:
      not_elementwise(op);
  }
}

Number apply(Op op, DType result, const Number& a, const Number& b, const Number& c) {
  switch (op) {
    case Op::cast:
      return convert(a, result);
    case Op::copy:
      return a;
    case Op::logical_not:
      return Number::of(!a.truth());
    case Op::is_finite:
      return Number::of(!a.real || std::isfinite(a.f));
    case Op::logical_and:
      return Number::of(a.truth() && b.truth());
    case Op::logical_or:
      return Number::of(a.truth() || b.truth());
    case Op::where:
      return a.truth() ? b : c;
    case Op::equal:
    case Op::not_equal:
    case Op::less:
    case Op::less_equal:
    case Op::greater:
    case Op::greater_equal:
      return Number::of(a.real || b.real ? compare(op, a.as_real(), b.as_real()) : compare(op, a.i, b.i));
    default:
      break;
  }
  if (is_float(result)) return Number::of(apply_real(op, a.as_real(), b.as_real(), c.as_real()));
  return convert(apply_integer(op, integer_of(a), integer_of(b), integer_of(c)), result);
}

}  // namespace lazuli::reference
