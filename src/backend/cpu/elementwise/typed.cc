#include "backend/cpu/elementwise/typed.h"

#include <algorithm>
#include <type_traits>

#include "lazuli/op.h"
#include "tensor/convert.h"

namespace lazuli::cpu {

namespace {

template <class T, class R, class F>
void unary(const void* a, const void*, const void*, void* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) static_cast<R*>(out)[i] = static_cast<R>(F::run(static_cast<const T*>(a)[i]));
}
template <class T, class R, class F>
void binary(const void* a, const void* b, const void*, void* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    static_cast<R*>(out)[i] = static_cast<R>(F::run(static_cast<const T*>(a)[i], static_cast<const T*>(b)[i]));
  }
}
template <class T>
void where(const void* a, const void* b, const void* c, void* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const T yes = static_cast<const T*>(b)[i], no = static_cast<const T*>(c)[i];
    static_cast<T*>(out)[i] = static_cast<const uint8_t*>(a)[i] != 0 ? yes : no;
  }
}
template <class T>
void clip(const void* a, const void* b, const void* c, void* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    static_cast<T*>(out)[i] = std::min(std::max(static_cast<const T*>(a)[i], static_cast<const T*>(b)[i]), static_cast<const T*>(c)[i]);
  }
}

/// Arithmetic wraps: it is done in the unsigned type of at least 32 bits and cut.
template <class T>
struct Wrap {
  using U = std::make_unsigned_t<std::common_type_t<T, int32_t>>;
  static U of(T v) { return static_cast<U>(v); }
};

#define LAZULI_TYPED_UNARY(name, expression)    \
  template <class T>                            \
  struct name {                                 \
    using W = Wrap<T>;                          \
    static auto run(T x) { return expression; } \
  };
LAZULI_TYPED_UNARY(Neg, typename W::U{0} - W::of(x))
LAZULI_TYPED_UNARY(Abs, x < 0 ? typename W::U{0} - W::of(x) : W::of(x))
LAZULI_TYPED_UNARY(Sign, (x > 0) - (x < 0))
LAZULI_TYPED_UNARY(Square, W::of(x) * W::of(x))
LAZULI_TYPED_UNARY(Relu, x > 0 ? x : T{0})
LAZULI_TYPED_UNARY(LogicalNot, x == 0)
LAZULI_TYPED_UNARY(AlwaysFinite, x == x)
#undef LAZULI_TYPED_UNARY

#define LAZULI_TYPED_BINARY(name, expression)        \
  template <class T>                                 \
  struct name {                                      \
    using W = Wrap<T>;                               \
    static auto run(T a, T b) { return expression; } \
  };
LAZULI_TYPED_BINARY(Add, W::of(a) + W::of(b))
LAZULI_TYPED_BINARY(Sub, W::of(a) - W::of(b))
LAZULI_TYPED_BINARY(Mul, W::of(a) * W::of(b))
LAZULI_TYPED_BINARY(Maximum, std::max(a, b))
LAZULI_TYPED_BINARY(Minimum, std::min(a, b))
LAZULI_TYPED_BINARY(Equal, a == b)
LAZULI_TYPED_BINARY(NotEqual, a != b)
LAZULI_TYPED_BINARY(Less, a < b)
LAZULI_TYPED_BINARY(LessEqual, a <= b)
LAZULI_TYPED_BINARY(Greater, a > b)
LAZULI_TYPED_BINARY(GreaterEqual, a >= b)
LAZULI_TYPED_BINARY(LogicalAnd, a != 0 && b != 0)
LAZULI_TYPED_BINARY(LogicalOr, a != 0 || b != 0)
#undef LAZULI_TYPED_BINARY

/// Truncates towards zero; x/0 is 0, and the lowest number divided by -1 wraps.
template <class T>
struct Div {
  static auto run(T a, T b) {
    using W = Wrap<T>;
    if (b == 0) return T{0};
    if (std::is_signed_v<T> && b == static_cast<T>(-1)) return static_cast<T>(typename W::U{0} - W::of(a));
    return static_cast<T>(a / b);
  }
};

template <class T>
TypedFn arithmetic(Op op) {
  switch (op) {
    case Op::neg:
      return unary<T, T, Neg<T>>;
    case Op::abs:
      return unary<T, T, Abs<T>>;
    case Op::sign:
      return unary<T, T, Sign<T>>;
    case Op::square:
      return unary<T, T, Square<T>>;
    case Op::relu:
      return unary<T, T, Relu<T>>;
    case Op::add:
      return binary<T, T, Add<T>>;
    case Op::sub:
      return binary<T, T, Sub<T>>;
    case Op::mul:
      return binary<T, T, Mul<T>>;
    case Op::div:
      return binary<T, T, Div<T>>;
    case Op::maximum:
      return binary<T, T, Maximum<T>>;
    case Op::minimum:
      return binary<T, T, Minimum<T>>;
    case Op::clip:
      return clip<T>;
    default:
      return nullptr;
  }
}

template <class T>
TypedFn any_integer(Op op) {
  switch (op) {
    case Op::where:
      return where<T>;
    case Op::is_finite:
      return unary<T, uint8_t, AlwaysFinite<T>>;
    case Op::logical_not:
      return unary<T, uint8_t, LogicalNot<T>>;
    case Op::equal:
      return binary<T, uint8_t, Equal<T>>;
    case Op::not_equal:
      return binary<T, uint8_t, NotEqual<T>>;
    case Op::less:
      return binary<T, uint8_t, Less<T>>;
    case Op::less_equal:
      return binary<T, uint8_t, LessEqual<T>>;
    case Op::greater:
      return binary<T, uint8_t, Greater<T>>;
    case Op::greater_equal:
      return binary<T, uint8_t, GreaterEqual<T>>;
    case Op::logical_and:
      return binary<T, uint8_t, LogicalAnd<T>>;
    case Op::logical_or:
      return binary<T, uint8_t, LogicalOr<T>>;
    default:
      return arithmetic<T>(op);
  }
}

template <class From, class To>
void cast(const void* a, const void*, const void*, void* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) static_cast<To*>(out)[i] = convert_element<To>(static_cast<const From*>(a)[i]);
}

template <class From>
TypedFn cast_from(DType to) {
  switch (to) {
    case DType::f32:
      return cast<From, float>;
    case DType::bf16:
      return cast<From, bf16>;
    case DType::f16:
      return cast<From, f16>;
    case DType::i32:
      return cast<From, int32_t>;
    case DType::i64:
      return cast<From, int64_t>;
    case DType::i8:
      return cast<From, int8_t>;
    case DType::u8:
      return cast<From, uint8_t>;
    case DType::boolean:
      return cast<From, bool>;
    case DType::f64:
      break;
  }
  return nullptr;
}

}  // namespace

TypedFn typed_fn(Op op, DType dtype) {
  switch (dtype) {
    case DType::i32:
      return any_integer<int32_t>(op);
    case DType::i64:
      return any_integer<int64_t>(op);
    case DType::i8:
      return any_integer<int8_t>(op);
    case DType::u8:
      return any_integer<uint8_t>(op);
    // Stored as 0 and 1, so the loops over bytes do.
    case DType::boolean:
      return arithmetic<uint8_t>(op) != nullptr ? nullptr : any_integer<uint8_t>(op);
    default:
      return nullptr;
  }
}

TypedFn typed_cast(DType from, DType to) {
  switch (from) {
    case DType::f32:
      return cast_from<float>(to);
    case DType::bf16:
      return cast_from<bf16>(to);
    case DType::f16:
      return cast_from<f16>(to);
    case DType::i32:
      return cast_from<int32_t>(to);
    case DType::i64:
      return cast_from<int64_t>(to);
    case DType::i8:
      return cast_from<int8_t>(to);
    case DType::u8:
      return cast_from<uint8_t>(to);
    case DType::boolean:
      return cast_from<bool>(to);
    case DType::f64:
      break;
  }
  return nullptr;
}

}  // namespace lazuli::cpu
