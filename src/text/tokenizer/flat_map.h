// Defines FlatMap, an open-addressing hash table with 64-bit keys, and the seeded hashes that tokenizer tables use.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string_view>
#include <vector>

namespace lazuli::tokenizer {

/// Differs from process to process, so that no file can be made to collide.
inline std::uint64_t hash_seed() {
  static const std::uint64_t seed = [] {
    std::random_device device;
    return (static_cast<std::uint64_t>(device()) << 32 | device()) | 1;
  }();
  return seed;
}

inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

inline std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t seed) {
  std::uint64_t hash = seed ^ bytes.size() * 0x9E3779B97F4A7C15U;
  const char* data = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, data += 8) {
    std::uint64_t word;
    std::memcpy(&word, data, 8);
    hash = mix(hash ^ word, 0xD6E8FEB86659FD93U);
  }
  std::uint64_t tail = 0;
  if (left > 0) std::memcpy(&tail, data, left);
  return mix(mix(hash ^ tail, 0xA0761D6478BD642FU), seed | 1);
}

/// Slots for `count` entries at a load of at most two thirds: a power of two.
inline std::size_t slots_for(std::size_t count) { return std::bit_ceil(count + count / 2 + 8); }

/// Maps 64-bit keys other than the largest one to values; holds at most the number of entries it was made for.
template <typename Value>
class FlatMap {
 public:
  explicit FlatMap(std::size_t capacity = 0)
      : slots_(slots_for(capacity)), seed_(hash_seed() * 0x9E3779B97F4A7C15U | 1), mask_(slots_.size() - 1) {}

  void insert_or_assign(std::uint64_t key, const Value& value) {
    Slot& slot = slots_[place(key)];
    slot.key = key;
    slot.value = value;
  }

  /// Brings near what `insert_or_assign` or `find` of this key will read.
  void prefetch(std::uint64_t key) const { __builtin_prefetch(&slots_[start_of(key)]); }

  const Value* find(std::uint64_t key) const {
    const Slot& slot = slots_[place(key)];
    return slot.key == key ? &slot.value : nullptr;
  }

 private:
  static constexpr std::uint64_t kEmpty = ~std::uint64_t{0};

  struct Slot {
    std::uint64_t key = kEmpty;
    Value value{};
  };

  std::size_t start_of(std::uint64_t key) const { return static_cast<std::size_t>(mix(key ^ seed_, 0xA0761D6478BD642FU)) & mask_; }

  std::size_t place(std::uint64_t key) const {
    std::size_t at = start_of(key);
    while (slots_[at].key != kEmpty && slots_[at].key != key) at = (at + 1) & mask_;
    return at;
  }

  std::vector<Slot> slots_;
  std::uint64_t seed_;
  std::size_t mask_;
};

}  // namespace lazuli::tokenizer
