// Defines integer arithmetic that reports overflow instead of wrapping.
#pragma once

#include <concepts>
#include <limits>
#include <optional>
#include <type_traits>

namespace lazuli {

/// `a + b`, or nothing when the result does not fit T.
template <std::integral T>
constexpr std::optional<T> checked_add(T a, std::type_identity_t<T> b) {
  T r{};
  if (__builtin_add_overflow(a, b, &r)) return std::nullopt;
  return r;
}

/// `a - b`, or nothing when the result does not fit T.
template <std::integral T>
constexpr std::optional<T> checked_sub(T a, std::type_identity_t<T> b) {
  T r{};
  if (__builtin_sub_overflow(a, b, &r)) return std::nullopt;
  return r;
}

/// `a * b`, or nothing when the result does not fit T.
template <std::integral T>
constexpr std::optional<T> checked_mul(T a, std::type_identity_t<T> b) {
  T r{};
  if (__builtin_mul_overflow(a, b, &r)) return std::nullopt;
  return r;
}

/// `value` as To, or nothing when To cannot hold it.
template <std::integral To, std::integral From>
constexpr std::optional<To> checked_cast(From value) {
  To r{};
  if (__builtin_add_overflow(value, From{0}, &r)) return std::nullopt;
  return r;
}

/// `value` rounded up to a multiple of `step` (a power of two), or nothing on overflow.
template <std::unsigned_integral T>
constexpr std::optional<T> checked_round_up(T value, std::type_identity_t<T> step) {
  const std::optional<T> sum = checked_add(value, static_cast<T>(step - 1));
  if (!sum) return std::nullopt;
  return static_cast<T>(*sum & ~static_cast<T>(step - 1));
}

}  // namespace lazuli
