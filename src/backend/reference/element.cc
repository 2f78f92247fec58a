// Implements loads, stores and the single rounding of the reference backend.
#include "backend/reference/element.h"

#include <bit>
#include <type_traits>

#include "tensor/convert.h"

namespace lazuli::reference {

namespace {

/// The float next to v towards zero with its last bit set when v is not a float: rounding it again to 16 bits gives what rounding v once
/// would, because no tie can appear.
float round_to_odd(double v) {
  const auto f = static_cast<float>(v);
  if (std::isnan(v) || static_cast<double>(f) == v) return f;
  auto bits = std::bit_cast<uint32_t>(f);
  if (std::fabs(static_cast<double>(f)) > std::fabs(v)) --bits;
  return std::bit_cast<float>(bits | 1u);
}

template <class T>
T narrow(const Number& value) {
  if constexpr (std::is_same_v<T, bf16> || std::is_same_v<T, f16>) {
    return value.real ? convert_element<T>(round_to_odd(value.f)) : convert_element<T>(value.i);
  } else {
    return value.real ? convert_element<T>(value.f) : convert_element<T>(value.i);
  }
}

template <class T>
Number widen(T v) {
  if constexpr (std::is_same_v<T, double>) {
    return Number::of(v);
  } else if constexpr (std::is_integral_v<T>) {
    return Number::of(static_cast<int64_t>(v));
  } else {
    return Number::of(static_cast<double>(convert_element<float>(v)));
  }
}

}  // namespace

Number load(const void* data, DType dtype, int64_t offset) {
  return dispatch(dtype, [&](auto tag) { return widen(static_cast<const decltype(tag)*>(data)[offset]); });
}

void store(void* data, DType dtype, int64_t offset, const Number& value) {
  dispatch(dtype, [&](auto tag) { static_cast<decltype(tag)*>(data)[offset] = narrow<decltype(tag)>(value); });
}

Number convert(const Number& value, DType dtype) {
  return dispatch(dtype, [&](auto tag) { return widen(narrow<decltype(tag)>(value)); });
}

Strides broadcast_strides(const OperandSpec& spec, const Shape& space) {
  Strides strides;
  strides.resize(space.rank());
  const int missing = space.rank() - spec.shape.rank();
  for (int i = 0; i < space.rank(); ++i) {
    const bool repeats = i < missing || spec.shape[i - missing] == 1;
    strides[i] = repeats ? 0 : spec.strides[i - missing];
  }
  return strides;
}

}  // namespace lazuli::reference
