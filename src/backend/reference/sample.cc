// The draw of a token on the reference backend, a row a task: everything sorted, then the rules one after the other.
#include "backend/sample.h"

#include <numeric>
#include <vector>

#include "backend/reference/call.h"
#include "graph/ops/sample.h"

namespace lazuli::reference {

namespace {

SampleRules rules_of(const Call& call, int64_t row) {
  float rules[4];
  int64_t counts[4];
  for (int64_t k = 0; k < 4; ++k) {
    rules[k] = static_cast<float>(call.in(operand::sample::rules).real(row * 4 + k));
    counts[k] = call.in(operand::sample::counts).integer(row * 4 + k);
  }
  return SampleRules::from(rules, counts);
}

std::vector<float> penalised_logits(const Call& call, int64_t row, const SampleRules& rules) {
  const int64_t n = call.in(0).dim(-1), m = call.in(operand::sample::ids).dim(-1);
  std::vector<float> logits;
  for (int64_t k = 0; k < n; ++k) logits.push_back(static_cast<float>(call.in(0).real(row * n + k)));
  std::vector<int32_t> ids;
  for (int64_t k = 0; k < m; ++k) ids.push_back(static_cast<int32_t>(call.in(operand::sample::ids).integer(row * m + k)));
  const std::vector<float> before = logits;
  for (int32_t id : sample_recent(ids, call.in(operand::sample::length).integer(row), rules.context)) {
    const auto k = static_cast<size_t>(id);
    if (id >= 0 && k < logits.size()) logits[k] = sample_penalised(before[k], rules.penalty);
  }
  return logits;
}

/// By id: whether all filters keep it.
std::vector<bool> kept_of(const std::vector<float>& logits, const SampleRules& rules) {
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  const float highest = logits[order[0]];
  uint64_t total = 0, before = 0;
  for (float v : logits) total += sample_mass(v, highest, 1);
  const uint64_t limit = sample_mass_limit(rules.top_p, total);
  const size_t most = rules.top_k > 0 ? std::min(logits.size(), static_cast<size_t>(rules.top_k)) : logits.size();
  std::vector<bool> kept(logits.size());
  for (size_t k = 0; k < most && before < limit; ++k) {
    const float v = logits[order[k]];
    kept[order[k]] = sample_keeps(v, highest, std::log(static_cast<double>(rules.min_p)));
    before += sample_mass(v, highest, 1);
  }
  return kept;
}

int64_t draw_of(const std::vector<float>& logits, const SampleRules& rules, int64_t draw) {
  const float highest = *std::max_element(logits.begin(), logits.end());
  const std::vector<bool> kept = kept_of(logits, rules);
  std::vector<uint64_t> up_to(logits.size());
  uint64_t total = 0;
  for (size_t k = 0; k < logits.size(); ++k) {
    if (kept[k]) total += sample_mass(logits[k], highest, static_cast<double>(rules.temperature));
    up_to[k] = total;
  }
  const uint64_t point = sample_point(rules.seed, draw, total);
  return std::upper_bound(up_to.begin(), up_to.end(), point) - up_to.begin();
}

int64_t token_of(const Call& call, int64_t row) {
  const SampleRules rules = rules_of(call, row);
  const std::vector<float> logits = penalised_logits(call, row, rules);
  if (std::any_of(logits.begin(), logits.end(), [](float v) { return std::isnan(v); })) return -1;
  if (rules.temperature == 0) return std::max_element(logits.begin(), logits.end()) - logits.begin();
  return draw_of(logits, rules, call.in(operand::sample::length).integer(row) - rules.first);
}

void run_sample(const Call& call) {
  for (int64_t row = call.begin; row < call.end; ++row) call.out().set(row, Number::of(token_of(call, row)));
}

}  // namespace

PreparedOp prepare_sample(const KernelRequest& request) { return prepare_loop<run_sample>(request, elements(request)); }

}  // namespace lazuli::reference
