// Defines how the next token is drawn from logits, for every backend: masses are integers, so that no order of summation matters and the
// same draw gives the same token everywhere but where the last digit of exp decides.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

#include "backend/random.h"

namespace lazuli {

/// The operands `rules` and `counts` of sample.
struct SampleRules {
  float temperature = 0, top_p = 1, min_p = 0, penalty = 1;
  int64_t top_k = 0, context = 0, first = 0;
  uint64_t seed = 0;

  /// From the operands as they lie in memory.
  static SampleRules from(const float* rules, const int64_t* counts) {
    const float temperature = rules[0] > 0 ? std::min(rules[0], std::numeric_limits<float>::max()) : 0;
    return {temperature, rules[1], rules[2], rules[3], counts[0], counts[1], counts[2], static_cast<uint64_t>(counts[3])};
  }
};

/// Of the highest logit.
inline constexpr double kWholeMass = 0x1p40;

/// exp((logit - highest) / temperature) as an integer multiple of 2^-40.
inline uint64_t sample_mass(float logit, float highest, double temperature) {
  if (logit == highest) return uint64_t{1} << 40;
  return static_cast<uint64_t>(
      std::llrint(std::exp((static_cast<double>(logit) - static_cast<double>(highest)) / temperature) * kWholeMass));
}

/// The mass that the kept tokens before a token must stay below.
inline uint64_t sample_mass_limit(float top_p, uint64_t total) {
  if (!(top_p < 1)) return ~uint64_t{0};
  return static_cast<uint64_t>(std::max(1.0, std::ceil(static_cast<double>(top_p) * static_cast<double>(total))));
}

/// Whether min_p keeps a logit; `least` is log(min_p).
inline bool sample_keeps(float logit, float highest, double least) {
  return logit == highest || static_cast<double>(logit) - static_cast<double>(highest) >= least;
}

inline float sample_penalised(float logit, float penalty) { return logit < 0 ? logit * penalty : logit / penalty; }

/// The order of logits as that of numbers: the highest logit has the smallest rank, -0 that of 0.
inline uint32_t sample_rank(float logit) {
  const auto bits = std::bit_cast<uint32_t>(logit + 0.0F);
  return (bits >> 31) != 0 ? bits : ~bits ^ 0x80000000U;
}

/// The draw's point in [0, total), the 53 bits of the Philox number `draw` as a part of 2^53.
inline uint64_t sample_point(uint64_t seed, int64_t draw, uint64_t total) {
  const auto bits = static_cast<uint64_t>(random_bits64(seed, static_cast<uint64_t>(draw)));
  const uint64_t high = bits >> 32, low = bits & 0xFFFFF800U;
  const uint64_t total_high = total >> 32, total_low = total & 0xFFFFFFFFU;
  const uint64_t middle = high * total_low + (low * total_low >> 32);
  const uint64_t other = low * total_high + (middle & 0xFFFFFFFFU);
  return high * total_high + (middle >> 32) + (other >> 32);
}

/// The ids that are penalised: the last `context` of the first `length`.
inline std::span<const int32_t> sample_recent(std::span<const int32_t> ids, int64_t length, int64_t context) {
  const auto used = static_cast<size_t>(std::min<int64_t>(std::max<int64_t>(length, 0), static_cast<int64_t>(ids.size())));
  const auto count = static_cast<size_t>(std::min<int64_t>(std::max<int64_t>(context, 0), static_cast<int64_t>(used)));
  return ids.subspan(used - count, count);
}

/// Of logits with one rank prefix.
struct SampleBucket {
  uint64_t mass;
  int64_t count;
};
inline constexpr int kSampleBuckets = 2048;

/// The token of draw number `draw`, -1 where a logit is NaN. `values` has the size of `logits` and gets them penalised; `buckets`:
/// kSampleBuckets of them.
int32_t sample_token(std::span<const float> logits, std::span<const int32_t> recent, const SampleRules& rules, int64_t draw,
                     std::span<float> values, SampleBucket* buckets);

}  // namespace lazuli
