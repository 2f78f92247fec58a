// Defines WordCache, a small table of words and their ids that each thread keeps.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "text/tokenizer/flat_map.h"

namespace lazuli::tokenizer {

/// Direct-mapped: a word takes the place of another with the same hash, so the size never changes (1 MiB).
class WordCache {
 public:
  static constexpr std::size_t kMaxBytes = 22;
  static constexpr std::size_t kMaxIds = 8;

  static WordCache& of_this_thread() {
    static thread_local WordCache cache;
    return cache;
  }

  struct alignas(64) Entry {
    std::uint64_t owner = 0;
    std::int32_t ids[kMaxIds] = {};
    std::uint8_t length = 0;
    std::uint8_t count = 0;
    char word[kMaxBytes] = {};
  };

  /// The place of a word of at most kMaxBytes; `owner` tells models apart and is never 0.
  Entry& place(std::string_view word, std::uint64_t owner) {
    return entries_[static_cast<std::size_t>(hash_bytes(word, owner * 0x9E3779B97F4A7C15U)) % kEntries];
  }

  static bool holds(const Entry& entry, std::string_view word, std::uint64_t owner) {
    return entry.owner == owner && entry.length == word.size() && std::memcmp(entry.word, word.data(), word.size()) == 0;
  }

  static void store(Entry& entry, std::string_view word, std::uint64_t owner, std::span<const std::int32_t> ids) {
    if (ids.size() > kMaxIds) return;
    entry.owner = owner;
    entry.length = static_cast<std::uint8_t>(word.size());
    entry.count = static_cast<std::uint8_t>(ids.size());
    std::copy(word.begin(), word.end(), entry.word);
    std::copy(ids.begin(), ids.end(), entry.ids);
  }

 private:
  static constexpr std::size_t kEntries = 16384;

  std::vector<Entry> entries_ = std::vector<Entry>(kEntries);
};

/// Tells models apart in the cache.
inline std::uint64_t next_cache_owner() {
  static std::atomic<std::uint64_t> count{0};
  return ++count;
}

/// Appends the ids of `piece`: those of a short one from the cache, else those that `encode_new` puts in `ids`.
template <typename EncodeNew>
void encode_cached(std::string_view piece, std::uint64_t owner, std::vector<std::int32_t>& ids, std::vector<std::int32_t>& out,
                   const EncodeNew& encode_new) {
  WordCache::Entry* entry = nullptr;
  if (piece.size() <= WordCache::kMaxBytes) {
    entry = &WordCache::of_this_thread().place(piece, owner);
    if (WordCache::holds(*entry, piece, owner)) {
      out.insert(out.end(), entry->ids, entry->ids + entry->count);
      return;
    }
  }
  ids.clear();
  encode_new();
  if (entry != nullptr) WordCache::store(*entry, piece, owner, ids);
  out.insert(out.end(), ids.begin(), ids.end());
}

}  // namespace lazuli::tokenizer
