#include "plan/placement.h"

#include <algorithm>
#include <map>
#include <utility>

namespace lazuli {

namespace {

/// Free ranges of a growing arena, by offset; used when there are too many intermediates for the quadratic placement.
class FreeList {
 public:
  int64_t take(int64_t bytes) {
    auto best = free_.end();
    for (auto it = free_.begin(); it != free_.end(); ++it) {
      if (it->second >= bytes && (best == free_.end() || it->second < best->second)) best = it;
    }
    if (best == free_.end()) {
      const int64_t offset = end_;
      end_ += bytes;
      return offset;
    }
    const int64_t offset = best->first, rest = best->second - bytes;
    free_.erase(best);
    if (rest > 0) free_[offset + bytes] = rest;
    return offset;
  }
  void give(int64_t offset, int64_t bytes) {
    auto next = free_.lower_bound(offset);
    if (next != free_.end() && offset + bytes == next->first) {
      bytes += next->second;
      next = free_.erase(next);
    }
    if (next != free_.begin()) {
      auto before = std::prev(next);
      if (before->first + before->second == offset) {
        before->second += bytes;
        return;
      }
    }
    free_[offset] = bytes;
  }
  int64_t end() const { return end_; }

 private:
  std::map<int64_t, int64_t> free_;
  int64_t end_ = 0;
};

/// Largest first, each at the lowest offset that no storage alive at the same time takes.
int64_t place_by_size(std::vector<Storage*> all) {
  std::stable_sort(all.begin(), all.end(), [](const Storage* a, const Storage* b) { return a->bytes > b->bytes; });
  std::vector<const Storage*> by_offset;
  int64_t end = 0;
  for (Storage* s : all) {
    int64_t offset = 0;
    const int64_t bytes = align_up(s->bytes);
    for (const Storage* other : by_offset) {
      if (other->last_wave < s->first_wave || other->first_wave > s->last_wave) continue;
      if (offset + bytes <= other->offset) break;
      offset = std::max(offset, other->offset + align_up(other->bytes));
    }
    s->offset = offset;
    end = std::max(end, offset + bytes);
    by_offset.insert(
        std::upper_bound(by_offset.begin(), by_offset.end(), s, [](const Storage* a, const Storage* b) { return a->offset < b->offset; }),
        s);
  }
  return end;
}

/// In order of time with a free list: near linear.
int64_t place_by_time(std::vector<Storage*> all) {
  std::stable_sort(all.begin(), all.end(), [](const Storage* a, const Storage* b) { return a->first_wave < b->first_wave; });
  std::multimap<int32_t, Storage*> alive;
  FreeList arena;
  for (Storage* s : all) {
    while (!alive.empty() && alive.begin()->first < s->first_wave) {
      arena.give(alive.begin()->second->offset, align_up(alive.begin()->second->bytes));
      alive.erase(alive.begin());
    }
    s->offset = arena.take(align_up(s->bytes));
    alive.emplace(s->last_wave, s);
  }
  return arena.end();
}

}  // namespace

int64_t place(std::vector<Storage*> storages) {
  constexpr size_t kQuadraticLimit = 4000;
  return align_up(storages.size() <= kQuadraticLimit ? place_by_size(std::move(storages)) : place_by_time(std::move(storages)));
}

}  // namespace lazuli
