// Defines the few lengths of prompts' chunks and of caches, so that few plans are made.
#pragma once

#include <cstdint>
#include <vector>

namespace lazuli {

/// Tokens of a prompt that are read at once, at most.
inline constexpr int64_t kLongestChunk = 512;

/// Lengths of the chunks that a prompt of `count` tokens is fed in. The sum can exceed `count`: the last chunk is padded.
std::vector<int64_t> chunk_lengths(int64_t count);

/// Positions of the cache that `positions` tokens get.
int64_t cache_capacity(int64_t positions);

}  // namespace lazuli
