// Defines how one element becomes another dtype; every cast of the library goes through here.
#pragma once

#include <limits>
#include <type_traits>

#include "lazuli/dtype.h"
#include "tensor/half.h"

namespace lazuli {

namespace convert_detail {

inline float widen(bf16 v) { return static_cast<float>(v); }
inline float widen(f16 v) { return f16_bits_to_float(v.bits); }
template <class T>
T widen(T v) {
  return v;
}

/// Truncates; out of range clamps and NaN gives 0, because the plain cast is undefined there.
template <class To, class From>
To float_to_integer(From v) {
  // 2^digits is the first value above To's range and exact in any float type.
  constexpr From end = static_cast<From>(std::numeric_limits<To>::max() / 2 + 1) * From{2};
  constexpr From begin = static_cast<From>(std::numeric_limits<To>::min());
  if (v >= end) return std::numeric_limits<To>::max();
  if (v > begin) return static_cast<To>(v);
  return v <= begin ? std::numeric_limits<To>::min() : To{0};
}

}  // namespace convert_detail

/// Converts by the rules of Tensor::to.
template <class To, class From>
To convert_element(From value) {
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else {
    const auto v = convert_detail::widen(value);
    using Wide = std::remove_const_t<decltype(v)>;
    if constexpr (std::is_same_v<To, bool>) {
      return v != Wide{};
    } else if constexpr (std::is_same_v<To, bf16>) {
      return bf16(static_cast<float>(v));
    } else if constexpr (std::is_same_v<To, f16>) {
      f16 r;
      r.bits = f16_bits_from_float(static_cast<float>(v));
      return r;
    } else if constexpr (std::is_floating_point_v<Wide> && std::is_integral_v<To>) {
      return convert_detail::float_to_integer<To>(v);
    } else {
      return static_cast<To>(v);
    }
  }
}

}  // namespace lazuli
