// Implements the lengths of chunks and caches.
#include "generate/chunks.h"

#include <algorithm>
#include <bit>

namespace lazuli {

namespace {

constexpr int64_t kCapacityStep = 256;

int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

}  // namespace

std::vector<int64_t> chunk_lengths(int64_t count) {
  std::vector<int64_t> lengths;
  for (; count >= kLongestChunk; count -= kLongestChunk) lengths.push_back(kLongestChunk);
  if (count == 1) {
    lengths.push_back(1);
  } else if (count > 64) {
    lengths.push_back(round_up(count, 64));
  } else if (count > 0) {
    lengths.push_back(static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(std::max<int64_t>(count, 8)))));
  }
  return lengths;
}

// A prompt's last chunk is rounded to at most 64 tokens, which divides the step of capacities.
int64_t cache_capacity(int64_t positions) { return round_up(std::max<int64_t>(positions, 1), kCapacityStep); }

}  // namespace lazuli
