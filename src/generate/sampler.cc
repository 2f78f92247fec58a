// Implements Sampler.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/sample.h"
#include "generate/sample_operands.h"
#include "lazuli/error.h"

namespace lazuli {

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

SampleOperands operands_of(const SamplerOptions& o, int64_t first) {
  // A positive number that is nothing or infinite as a float is as small or as large as one can be.
  using Limits = std::numeric_limits<float>;
  const auto positive = [](double v) { return static_cast<float>(std::clamp(v, double{Limits::min()}, double{Limits::max()})); };
  return {{o.temperature > 0 ? positive(o.temperature) : 0, static_cast<float>(o.top_p), static_cast<float>(o.min_p),
           positive(o.repetition_penalty)},
          {o.top_k, o.repetition_context, first, static_cast<int64_t>(o.seed)}};
}

int32_t Sampler::next(std::span<const float> logits, std::span<const int32_t> history) {
  if (logits.empty()) throw ValueError("[generate] logits of at least one token are expected");
  const SampleOperands operands = operands_of(options_, 0);
  const SampleRules rules = SampleRules::from(operands.rules.data(), operands.counts.data());
  const auto recent = sample_recent(history, static_cast<int64_t>(history.size()), rules.context);
  std::vector<SampleBucket> buckets(kSampleBuckets);
  logits_.resize(logits.size());
  const int32_t token = sample_token(logits, recent, rules, draws_, logits_, buckets.data());
  if (token < 0) throw ValueError("[generate] the logits have NaN");
  ++draws_;
  return token;
}

}  // namespace lazuli
