// Implements Sampler.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "backend/random.h"
#include "lazuli/error.h"
#include "lazuli/generate.h"

namespace lazuli {

namespace {

constexpr size_t kFirstBlock = 256;

int32_t first_highest(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace

void SamplerOptions::check() const {
  const auto need = [](bool ok, const char* name, const char* range, double got) {
    if (!ok) throw ValueError(fmt::format("[generate] {} {} is expected, got {}", name, range, got));
  };
  need(temperature >= 0 && std::isfinite(temperature), "temperature", "of at least 0", temperature);
  need(top_p > 0 && top_p <= 1, "top_p", "in (0, 1]", top_p);
  need(top_k >= 0, "top_k", "of at least 0", static_cast<double>(top_k));
  need(min_p >= 0 && min_p <= 1, "min_p", "in [0, 1]", min_p);
  need(repetition_penalty > 0 && std::isfinite(repetition_penalty), "repetition_penalty", "above 0", repetition_penalty);
  need(repetition_context >= 0, "repetition_context", "of at least 0", static_cast<double>(repetition_context));
}

Sampler::Sampler(const SamplerOptions& options) : options_(options) { options_.check(); }

int32_t Sampler::next(std::span<const float> logits, std::span<const int32_t> history) {
  if (logits.empty()) throw ValueError("[generate] logits of at least one token are expected");
  logits_.assign(logits.begin(), logits.end());
  // A NaN would win or lose every comparison by chance.
  if (std::any_of(logits.begin(), logits.end(), [](float v) { return std::isnan(v); })) throw ValueError("[generate] the logits have NaN");
  if (options_.repetition_penalty != 1) penalise(history);
  if (options_.temperature == 0) return first_highest(logits_);
  return draw(kept());
}

void Sampler::penalise(std::span<const int32_t> history) {
  std::vector<int32_t> recent(
      history.end() - std::min<std::ptrdiff_t>(static_cast<std::ptrdiff_t>(history.size()), options_.repetition_context), history.end());
  std::sort(recent.begin(), recent.end());
  recent.erase(std::unique(recent.begin(), recent.end()), recent.end());
  const auto penalty = static_cast<float>(options_.repetition_penalty);
  for (int32_t id : recent) {
    if (id < 0 || static_cast<size_t>(id) >= logits_.size()) continue;
    float& v = logits_[static_cast<size_t>(id)];
    v = v < 0 ? v * penalty : v / penalty;
  }
}

/// Puts the tokens to draw from in front of `order_`. Every filter keeps a beginning of the descending order, so together they keep the
/// shortest of these; only as much is sorted as that takes.
size_t Sampler::kept() {
  order_.resize(logits_.size());
  std::iota(order_.begin(), order_.end(), 0);
  const size_t limit = options_.top_k > 0 ? std::min(static_cast<size_t>(options_.top_k), order_.size()) : order_.size();
  if (limit == order_.size() && options_.top_p >= 1 && options_.min_p <= 0) return limit;
  const auto logit = [this](int32_t id) { return logits_[static_cast<size_t>(id)]; };
  const double highest = static_cast<double>(*std::max_element(logits_.begin(), logits_.end()));
  double total = 0;
  for (float v : logits_) total += std::exp(static_cast<double>(v) - highest);
  double before = 0;
  size_t count = 0;
  for (size_t block = kFirstBlock, sorted = 0; count < limit; block *= 4) {
    const size_t end = std::min(block, limit);
    const auto at = [this](size_t k) { return order_.begin() + static_cast<std::ptrdiff_t>(k); };
    std::partial_sort(at(sorted), at(end), order_.end(),
                      [&](int32_t a, int32_t b) { return logit(a) != logit(b) ? logit(a) > logit(b) : a < b; });
    sorted = end;
    for (; count < end; ++count) {
      const double relative = std::exp(static_cast<double>(logit(order_[count])) - highest);
      if (count > 0 && (before >= options_.top_p * total || relative < options_.min_p)) return count;
      before += relative;
    }
  }
  return count;
}

int32_t Sampler::draw(size_t count) {
  double highest = -HUGE_VAL;
  const auto scaled = [this](size_t k) { return static_cast<double>(logits_[static_cast<size_t>(order_[k])]) / options_.temperature; };
  for (size_t k = 0; k < count; ++k) highest = std::max(highest, scaled(k));
  double total = 0;
  for (size_t k = 0; k < count; ++k) total += std::exp(scaled(k) - highest);
  const auto bits = static_cast<uint64_t>(random_bits64(options_.seed, draws_++));
  double left = static_cast<double>(bits >> 11) * 0x1p-53 * total;
  for (size_t k = 0; k < count; ++k) {
    left -= std::exp(scaled(k) - highest);
    if (left < 0) return order_[k];
  }
  // Rounding can leave a little: the last token that has any probability takes it.
  size_t last = count - 1;
  while (last > 0 && std::exp(scaled(last) - highest) == 0) --last;
  return order_[last];
}

}  // namespace lazuli
