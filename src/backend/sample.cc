#include "backend/sample.h"

namespace lazuli {

namespace {

/// What top_k and top_p keep is a beginning of the order by rank, then by id: the ranks below `rank` and the first `ties` of that rank.
struct Cut {
  uint32_t rank = ~0U;
  int64_t ties = 0;
};

class Selection {
 public:
  Selection(std::span<const float> logits, float highest, const SampleRules& rules, SampleBucket* buckets)
      : logits_(logits), highest_(highest), top_p_(rules.top_p), buckets_(buckets) {
    const auto all = static_cast<int64_t>(logits.size());
    most_ = rules.top_k > 0 ? std::min(rules.top_k, all) : all;
  }

  /// The rank's bits are found from the highest ones down: 11, 11, 10.
  Cut cut() {
    const auto all = static_cast<int64_t>(logits_.size());
    if (most_ == all && top_p_ >= 1) return {~0U, all};
    static constexpr int kShifts[] = {21, 10, 0};
    int before = 32;
    for (int shift : kShifts) {
      fill(before, shift);
      if (before == 32) {
        uint64_t total = 0;
        for (int k = 0; k < kSampleBuckets; ++k) total += buckets_[k].mass;
        limit_ = sample_mass_limit(top_p_, total);
      }
      descend();
      before = shift;
    }
    return {prefix_, ties()};
  }

 private:
  void fill(int before, int shift) {
    std::fill_n(buckets_, kSampleBuckets, SampleBucket{0, 0});
    const uint32_t mask = (uint32_t{1} << (before - shift)) - 1;
    for (float v : logits_) {
      const uint32_t rank = sample_rank(v);
      if (before < 32 && rank >> before != prefix_) continue;
      SampleBucket& b = buckets_[rank >> shift & mask];
      ++b.count;
      if (top_p_ < 1) b.mass += sample_mass(v, highest_, 1);
    }
    prefix_ <<= before < 32 ? before - shift : 0;
  }

  /// To the bucket where what is kept ends; there is one, since the limits lie within what is left.
  void descend() {
    uint32_t k = 0;
    while (k + 1 < kSampleBuckets && count_ + buckets_[k].count < most_ && mass_ + buckets_[k].mass < limit_) {
      count_ += buckets_[k].count;
      mass_ += buckets_[k].mass;
      ++k;
    }
    prefix_ |= k;
    last_ = buckets_[k];
  }

  int64_t ties() const {
    int64_t ties = std::min(last_.count, most_ - count_);
    const uint64_t each = last_.mass / static_cast<uint64_t>(std::max<int64_t>(last_.count, 1));
    if (each > 0) ties = std::min(ties, static_cast<int64_t>((limit_ - mass_ + each - 1) / each));
    return ties;
  }

  std::span<const float> logits_;
  float highest_, top_p_;
  SampleBucket* buckets_;
  int64_t most_, count_ = 0;
  uint64_t mass_ = 0, limit_ = ~uint64_t{0};
  uint32_t prefix_ = 0;
  SampleBucket last_{0, 0};
};

/// Calls body(id, mass) for what is kept, in the order of ids, until it returns false.
template <class Body>
void each_kept(std::span<const float> logits, float highest, const SampleRules& rules, const Cut& cut, const Body& body) {
  const double least = std::log(static_cast<double>(rules.min_p));
  int64_t ties = cut.ties;
  for (size_t id = 0; id < logits.size(); ++id) {
    const uint32_t rank = sample_rank(logits[id]);
    if (rank > cut.rank || !sample_keeps(logits[id], highest, least)) continue;
    if (rank == cut.rank && ties-- <= 0) continue;
    if (!body(static_cast<int32_t>(id), sample_mass(logits[id], highest, static_cast<double>(rules.temperature)))) return;
  }
}

}  // namespace

int32_t sample_token(std::span<const float> logits, std::span<const int32_t> recent, const SampleRules& rules, int64_t draw,
                     std::span<float> values, SampleBucket* buckets) {
  // A NaN would win or lose every comparison by chance.
  if (std::any_of(logits.begin(), logits.end(), [](float v) { return std::isnan(v); })) return -1;
  std::copy(logits.begin(), logits.end(), values.begin());
  if (rules.penalty != 1) {
    for (int32_t id : recent) {
      const auto k = static_cast<size_t>(id);
      if (id >= 0 && k < logits.size()) values[k] = sample_penalised(logits[k], rules.penalty);
    }
  }
  const auto top = std::max_element(values.begin(), values.end());
  if (rules.temperature == 0) return static_cast<int32_t>(top - values.begin());
  const float highest = *top;
  const Cut cut = Selection(values, highest, rules, buckets).cut();
  uint64_t total = 0;
  each_kept(values, highest, rules, cut, [&](int32_t, uint64_t mass) {
    total += mass;
    return true;
  });
  uint64_t left = sample_point(rules.seed, draw, total);
  int32_t token = 0;
  each_kept(values, highest, rules, cut, [&](int32_t id, uint64_t mass) {
    token = id;
    if (left < mass) return false;
    left -= mass;
    return true;
  });
  return token;
}

}  // namespace lazuli
