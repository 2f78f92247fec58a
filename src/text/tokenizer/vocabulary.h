// Defines Vocabulary, the two-way table of tokens and ids.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lazuli::tokenizer {

/// Tokens lie end to end in one string; a hash table over them finds ids.
class Vocabulary {
 public:
  enum class Added { ok, duplicate_token, duplicate_id };

  /// Makes room for `count` tokens of `bytes` bytes in all, which must be below 4 GiB as a JSON file is.
  explicit Vocabulary(std::size_t count = 0, std::size_t bytes = 0);

  /// Adds at most as many tokens as room was made for.
  Added add(std::string_view token, std::int32_t id);

  std::optional<std::int32_t> find(std::string_view token) const;
  /// Ids of many tokens at once, -1 for those it does not have: the waits for memory overlap.
  void find_all(std::span<const std::string_view> tokens, std::span<std::int32_t> ids) const;
  /// Brings near what `add` or `find` of this token will read.
  void prefetch(std::string_view token) const;
  std::optional<std::string_view> token(std::int32_t id) const;
  /// One past the largest id.
  std::int32_t size() const { return static_cast<std::int32_t>(entries_.size()); }

 private:
  static constexpr std::uint32_t kAbsent = ~std::uint32_t{0};

  struct Entry {
    std::uint32_t offset = kAbsent;
    std::uint32_t length = 0;
  };
  // The high half of the hash, so that most other tokens are told apart without reading them, and where the token lies, so that comparing
  // it takes no detour.
  struct Slot {
    std::uint32_t tag = 0;
    std::int32_t id = -1;
    Entry entry;
  };

  std::string_view view(Entry entry) const { return std::string_view(bytes_.data() + entry.offset, entry.length); }
  std::size_t place(std::string_view token, std::uint64_t hash) const;

  std::string bytes_;
  std::vector<Entry> entries_;
  std::vector<Slot> slots_;
};

}  // namespace lazuli::tokenizer
