// Defines the dtypes of the safetensors format.
#pragma once

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>

#include "lazuli/dtype.h"

namespace lazuli {

struct SafetensorsDType {
  std::string_view name;
  unsigned bits;
  std::optional<DType> dtype;  ///< nothing when this library has no such type
};

/// In the order of the reference implementation, by which a writer sorts its tensors: the last first.
inline constexpr SafetensorsDType kSafetensorsDTypes[] = {
    {"BOOL", 8, DType::boolean},  {"F4", 4, std::nullopt},   {"F6_E2M3", 6, std::nullopt}, {"F6_E3M2", 6, std::nullopt},
    {"U8", 8, DType::u8},         {"I8", 8, DType::i8},      {"F8_E5M2", 8, std::nullopt}, {"F8_E4M3", 8, std::nullopt},
    {"F8_E8M0", 8, std::nullopt}, {"I16", 16, std::nullopt}, {"U16", 16, std::nullopt},    {"F16", 16, DType::f16},
    {"BF16", 16, DType::bf16},    {"I32", 32, DType::i32},   {"U32", 32, std::nullopt},    {"F32", 32, DType::f32},
    {"C64", 64, std::nullopt},    {"F64", 64, DType::f64},   {"I64", 64, DType::i64},      {"U64", 64, std::nullopt},
};

/// Null for names that the format does not know.
inline const SafetensorsDType* find_safetensors_dtype(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kSafetensorsDTypes), std::end(kSafetensorsDTypes), [&](const SafetensorsDType& d) { return d.name == name; });
  return found == std::end(kSafetensorsDTypes) ? nullptr : found;
}

inline const SafetensorsDType& safetensors_dtype(DType t) {
  return *std::find_if(std::begin(kSafetensorsDTypes), std::end(kSafetensorsDTypes),
                       [&](const SafetensorsDType& d) { return d.dtype == t; });
}

}  // namespace lazuli
