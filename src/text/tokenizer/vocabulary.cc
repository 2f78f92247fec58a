#include "text/tokenizer/vocabulary.h"

#include <algorithm>

#include "text/tokenizer/flat_map.h"

namespace lazuli::tokenizer {
namespace {

std::uint64_t hash_of(std::string_view token) { return hash_bytes(token, hash_seed()); }
std::uint32_t tag_of(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> 32); }

}  // namespace

Vocabulary::Vocabulary(std::size_t count, std::size_t bytes) : slots_(slots_for(count)) {
  bytes_.reserve(bytes);
  entries_.reserve(count);
}

std::size_t Vocabulary::place(std::string_view token, std::uint64_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = static_cast<std::size_t>(hash) & mask;
  for (; slots_[at].id >= 0; at = (at + 1) & mask) {
    if (slots_[at].tag == tag_of(hash) && view(slots_[at].entry) == token) break;
  }
  return at;
}

Vocabulary::Added Vocabulary::add(std::string_view token, std::int32_t id) {
  const std::uint64_t hash = hash_of(token);
  Slot& slot = slots_[place(token, hash)];
  if (slot.id >= 0) return Added::duplicate_token;
  const auto index = static_cast<std::size_t>(id);
  if (index >= entries_.size()) entries_.resize(index + 1);
  if (entries_[index].offset != kAbsent) return Added::duplicate_id;
  entries_[index] = {static_cast<std::uint32_t>(bytes_.size()), static_cast<std::uint32_t>(token.size())};
  bytes_.append(token);
  slot = {tag_of(hash), id, entries_[index]};
  return Added::ok;
}

std::optional<std::int32_t> Vocabulary::find(std::string_view token) const {
  const Slot& slot = slots_[place(token, hash_of(token))];
  return slot.id >= 0 ? std::optional(slot.id) : std::nullopt;
}

void Vocabulary::prefetch(std::string_view token) const { __builtin_prefetch(&slots_[hash_of(token) & (slots_.size() - 1)]); }

void Vocabulary::find_all(std::span<const std::string_view> tokens, std::span<std::int32_t> ids) const {
  constexpr std::size_t kBlock = 64;
  std::uint64_t hashes[kBlock];
  for (std::size_t start = 0; start < tokens.size(); start += kBlock) {
    const auto block = tokens.subspan(start, std::min(kBlock, tokens.size() - start));
    for (std::size_t i = 0; i < block.size(); ++i) {
      hashes[i] = hash_of(block[i]);
      __builtin_prefetch(&slots_[hashes[i] & (slots_.size() - 1)]);
    }
    for (std::size_t i = 0; i < block.size(); ++i) {
      __builtin_prefetch(bytes_.data() + slots_[hashes[i] & (slots_.size() - 1)].entry.offset % (bytes_.size() + 1));
    }
    for (std::size_t i = 0; i < block.size(); ++i) ids[start + i] = slots_[place(block[i], hashes[i])].id;
  }
}

std::optional<std::string_view> Vocabulary::token(std::int32_t id) const {
  if (id < 0 || id >= size() || entries_[static_cast<std::size_t>(id)].offset == kAbsent) return std::nullopt;
  return view(entries_[static_cast<std::size_t>(id)]);
}

}  // namespace lazuli::tokenizer
