#include "text/tokenizer/bpe.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <utility>

#include "text/tokenizer/byte_alphabet.h"
#include "text/tokenizer/unicode.h"
#include "text/tokenizer/word_cache.h"

namespace lazuli::tokenizer {
namespace {

// Up to this many symbols a scan for the lowest rank is faster than a queue.
constexpr std::size_t kShort = 32;
constexpr std::uint32_t kNoRank = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

}  // namespace

Bpe::Bpe(Vocabulary vocabulary, FlatMap<Merge> merges, BpeOptions options)
    : vocabulary_(std::move(vocabulary)), merges_(std::move(merges)), options_(std::move(options)), owner_(next_cache_owner()) {
  for (std::size_t b = 0; b < byte_ids_.size(); ++b) {
    const char byte = static_cast<char>(b);
    std::string spelled;
    append_spelled(std::string_view(&byte, 1), spelled);
    byte_ids_[b] = vocabulary_.find(spelled).value_or(-1);
    fallback_ids_[b] = vocabulary_.find(fallback_token(b)).value_or(-1);
    ascii_ids_[b] = b < 0x80 ? vocabulary_.find(std::string_view(&byte, 1)).value_or(-1) : -1;
  }
}

void Bpe::encode(std::string_view piece, Scratch& scratch, std::vector<std::int32_t>& out) const {
  encode_cached(piece, owner_, scratch.ids, out, [&] { encode_new(piece, scratch); });
}

void Bpe::encode_new(std::string_view piece, Scratch& scratch) const {
  if (options_.ignore_merges) {
    std::string_view spelled = piece;
    if (options_.byte_level) {
      scratch.spelled.clear();
      append_spelled(piece, scratch.spelled);
      spelled = scratch.spelled;
    }
    if (const auto id = vocabulary_.find(spelled)) {
      scratch.ids.push_back(*id);
      return;
    }
  }
  options_.byte_level ? start_bytes(piece, scratch.ids) : start_characters(piece, scratch);
  if (scratch.ids.size() <= kShort) {
    merge_short(scratch.ids);
  } else {
    merge_long(scratch);
  }
}

// An unknown stands for a character of the alphabet, which is a byte here.
void Bpe::start_bytes(std::string_view piece, std::vector<std::int32_t>& ids) const {
  bool after_unknown = false;
  for (const char byte : piece) {
    const std::int32_t id = byte_ids_[static_cast<unsigned char>(byte)];
    const bool unknown = id < 0;
    if (!unknown) {
      ids.push_back(id);
    } else if (options_.unknown && !(options_.fuse_unknown && after_unknown)) {
      ids.push_back(*options_.unknown);
    }
    after_unknown = unknown;
  }
}

void Bpe::start_characters(std::string_view piece, Scratch& scratch) const {
  auto& ids = scratch.ids;
  bool pending = false;  // an unknown that the next symbol of the vocabulary puts down, or the end
  for (std::size_t pos = 0; pos < piece.size();) {
    const std::string_view character = piece.substr(pos, code_point_at(piece, pos).length);
    const bool prefixed = pos > 0 && !options_.prefix.empty();
    pos += character.size();
    const bool suffixed = pos == piece.size() && !options_.suffix.empty();
    std::string_view symbol = character;
    if (prefixed || suffixed) {
      scratch.spelled.assign(prefixed ? options_.prefix : std::string_view()).append(character);
      if (suffixed) scratch.spelled.append(options_.suffix);
      symbol = scratch.spelled;
    }
    const std::int32_t id = symbol.size() == 1 ? ascii_ids_[static_cast<unsigned char>(symbol[0])] : vocabulary_.find(symbol).value_or(-1);
    if (id >= 0) {
      if (pending) ids.push_back(*options_.unknown);
      pending = false;
      ids.push_back(id);
    } else if (!(options_.byte_fallback && append_fallback(symbol, fallback_ids_, ids)) && options_.unknown) {
      if (pending && !options_.fuse_unknown) ids.push_back(*options_.unknown);
      pending = true;
    }
  }
  if (pending) ids.push_back(*options_.unknown);
}

void Bpe::merge_short(std::vector<std::int32_t>& ids) const {
  Merge merges[kShort];
  const auto look_up = [&](std::size_t i) {
    const Merge* merge = i + 1 < ids.size() ? merge_of(ids[i], ids[i + 1]) : nullptr;
    merges[i] = merge != nullptr ? *merge : Merge{kNoRank, -1};
  };
  for (std::size_t i = 0; i < ids.size(); ++i) look_up(i);
  while (ids.size() > 1) {
    const auto lower = [](const Merge& a, const Merge& b) { return a.rank < b.rank; };
    const auto best = static_cast<std::size_t>(std::min_element(merges, merges + ids.size(), lower) - merges);
    if (merges[best].rank == kNoRank) return;
    ids[best] = merges[best].result;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    std::copy(merges + best + 2, merges + ids.size() + 1, merges + best + 1);
    look_up(best);
    if (best > 0) look_up(best - 1);
  }
}

// A linked list of symbols and a queue of pairs by rank, then position. A pair whose rank is no longer the one queued has gone.
void Bpe::merge_long(Scratch& scratch) const {
  auto& ids = scratch.ids;
  auto& ranks = scratch.ranks;
  auto& next = scratch.next;
  auto& previous = scratch.previous;
  auto& queue = scratch.queue;
  const std::size_t count = ids.size();
  ranks.assign(count, kNoRank);
  next.resize(count);
  previous.resize(count);
  queue.clear();
  const auto look_up = [&](std::size_t i) {
    const Merge* merge = next[i] != kNone ? merge_of(ids[i], ids[next[i]]) : nullptr;
    ranks[i] = merge != nullptr ? merge->rank : kNoRank;
    return ranks[i] != kNoRank;
  };
  for (std::size_t i = 0; i < count; ++i) {
    next[i] = i + 1 < count ? i + 1 : kNone;
    previous[i] = i > 0 ? i - 1 : kNone;
    if (look_up(i)) queue.emplace_back(ranks[i], i);
  }
  std::make_heap(queue.begin(), queue.end(), std::greater<>());
  const auto queue_pair = [&](std::size_t i) {
    if (i == kNone || !look_up(i)) return;
    queue.emplace_back(ranks[i], i);
    std::push_heap(queue.begin(), queue.end(), std::greater<>());
  };
  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end(), std::greater<>());
    const auto [rank, left] = queue.back();
    queue.pop_back();
    if (ranks[left] != rank) continue;
    const std::size_t right = next[left];
    ids[left] = merge_of(ids[left], ids[right])->result;
    ids[right] = -1;
    ranks[right] = kNoRank;
    next[left] = next[right];
    if (next[left] != kNone) previous[next[left]] = left;
    queue_pair(left);
    queue_pair(previous[left]);
  }
  ids.erase(std::remove(ids.begin(), ids.end(), -1), ids.end());
}

}  // namespace lazuli::tokenizer
