// Implements dtype promotion and the out-of-line f16 conversions.
#include "lazuli/dtype.h"

#include "tensor/half.h"

namespace lazuli {

f16::f16(float v) : bits(f16_bits_from_float(v)) {}
f16::operator float() const { return f16_bits_to_float(bits); }

DType promote(DType a, DType b) {
  if (a == b) return a;
  if (is_float(a) != is_float(b)) return is_float(a) ? a : b;
  if (is_float(a)) return a == DType::f64 || b == DType::f64 ? DType::f64 : DType::f32;
  if (a == DType::boolean) return b;
  if (b == DType::boolean) return a;
  // Neither i8 nor u8 holds the other.
  return a == DType::i64 || b == DType::i64 ? DType::i64 : DType::i32;
}

}  // namespace lazuli
