// Defines the element types, their sizes and names, and the 16-bit float conversions.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lazuli {

/// Element types. `boolean` is a byte of 0 or 1.
enum class DType : uint8_t { f32, bf16, f16, f64, i32, i64, i8, u8, boolean };
inline constexpr int kDTypeCount = 9;  ///< number of element types

/// Returns the bytes of one element.
constexpr size_t size_of(DType t) {
  constexpr uint8_t sizes[kDTypeCount] = {4, 2, 2, 8, 4, 8, 1, 1, 1};
  return sizes[static_cast<int>(t)];
}
/// Returns the name: `"f32"`, `"bf16"`, ..., `"bool"`.
constexpr std::string_view name_of(DType t) {
  constexpr std::string_view names[kDTypeCount] = {"f32", "bf16", "f16", "f64", "i32", "i64", "i8", "u8", "bool"};
  return names[static_cast<int>(t)];
}
///@{
/// Whether the type is a float or an integer type. `boolean` is neither.
constexpr bool is_float(DType t) { return t <= DType::f64; }
constexpr bool is_integer(DType t) { return t >= DType::i32 && t <= DType::u8; }
///@}

/// Returns the smallest dtype that both operands convert to. f16 with bf16 gives f32.
DType promote(DType a, DType b);

/// bfloat16: the upper half of an f32, rounded to nearest even.
struct bf16 {
  ///@{
  /// The bits, and conversions from and to f32.
  uint16_t bits = 0;
  bf16() = default;
  explicit bf16(float v) {
    auto u = std::bit_cast<uint32_t>(v);
    if ((u & 0x7fffffffu) > 0x7f800000u) {
      bits = static_cast<uint16_t>((u >> 16) | 0x40u);
    } else {
      bits = static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
    }
  }
  operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
  ///@}
};

/// IEEE binary16, rounded to nearest even.
struct f16 {
  ///@{
  /// The bits, and conversions from and to f32.
  uint16_t bits = 0;
  f16() = default;
  explicit f16(float v);
  operator float() const;
  ///@}
};

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<bf16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct DTypeOf<f16> {
  static constexpr DType value = DType::f16;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr DType value = DType::i64;
};
template <>
struct DTypeOf<int8_t> {
  static constexpr DType value = DType::i8;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::u8;
};
template <>
struct DTypeOf<bool> {
  static constexpr DType value = DType::boolean;
};
/// The element type of a C++ type: `dtype_of<float>` is DType::f32.
template <class T>
inline constexpr DType dtype_of = DTypeOf<T>::value;

}  // namespace lazuli
