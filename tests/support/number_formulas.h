// Defines the hashed numbers that models of tests are made of, as tests/data/whole_model_numbers.py.
#pragma once

#include <cstdint>
#include <string_view>

namespace lazuli::test {

/// The finaliser of MurmurHash3.
inline uint32_t mix(uint32_t x) {
  x ^= x >> 16;
  x *= 0x85ebca6bU;
  x ^= x >> 13;
  x *= 0xc2b2ae35U;
  return x ^ (x >> 16);
}

/// FNV-1a.
inline uint32_t hash_of(std::string_view name) {
  uint32_t h = 2166136261U;
  for (const char c : name) h = (h ^ static_cast<uint8_t>(c)) * 16777619U;
  return h;
}

}  // namespace lazuli::test
