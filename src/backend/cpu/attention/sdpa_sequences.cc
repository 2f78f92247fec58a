#include "backend/cpu/attention/sdpa_sequences.h"

#include <string>

#include "lazuli/error.h"

namespace lazuli::cpu {

PackedSequences::Block PackedSequences::find(const int32_t* starts, int64_t block, int64_t size) const {
  check(starts);
  for (int64_t s = 0; s <= count; ++s) {
    const bool rest = s == count;
    const int64_t origin = starts[s], tokens = (rest ? rows : starts[s + 1]) - origin, blocks = (tokens + size - 1) / size;
    if (block < blocks) return {block * size, tokens, origin, rest};
    block -= blocks;
  }
  return {};
}

void PackedSequences::check(const int32_t* starts) const {
  for (int64_t s = 0; s <= count; ++s) {
    const int64_t low = s == 0 ? 0 : starts[s - 1], high = s == 0 ? 0 : rows;
    if (starts[s] >= low && starts[s] <= high) continue;
    throw ValueError("[sdpa_packed] starts from 0 to the " + std::to_string(rows) + " rows, not decreasing, are expected, got " +
                     std::to_string(starts[s]) + " as number " + std::to_string(s));
  }
}

}  // namespace lazuli::cpu
