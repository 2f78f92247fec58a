// Vector loops over attention scores.
#include <algorithm>
#include <limits>

#include "backend/cpu/attention/sdpa.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/attention/sdpa_rows.cc"
#include "backend/cpu/common/each_target.h"
#include "backend/cpu/common/simd_math.h"

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu {
namespace HWY_NAMESPACE {
namespace {

constexpr float kHidden = -std::numeric_limits<float>::infinity();

/// Vector at key `j` of a block.
HWY_INLINE float* at(const ScoreRow& row, int64_t j) { return row.scores + j / kChunk * row.step + j % kChunk; }

/// cap * tanh(score / cap), and its slope where `slope` is given.
HWY_INLINE VF capped(VF score, float cap, VF* slope = nullptr) {
  const VF part = tanh(hn::Div(score, splat(cap)));
  if (slope != nullptr) *slope = hn::NegMulAdd(part, part, splat(1.0f));
  return hn::Mul(part, splat(cap));
}

float update_row(const ScoreRow& row) {
  const int64_t step = lanes(), end = (row.keys + kChunk - 1) / kChunk * kChunk;
  const VF scale = splat(row.scale), hidden = splat(kHidden);
  VF top = splat(*row.top);
  for (int64_t j = 0; j < row.visible; j += step) {
    VF s = hn::Mul(load(at(row, j)), scale);
    if (row.cap != 0) s = capped(s, row.cap);
    if (row.added != nullptr) {
      const VF added = load(row.added + j), sum = hn::Add(s, added);
      s = row.hides ? hn::IfThenElse(hn::Eq(added, hidden), hidden, sum) : sum;
    }
    if (row.visible - j < step) s = hn::IfThenElse(first(row.visible - j), s, hidden);
    if (j < row.before) s = hn::IfThenElse(first(std::min(row.before - j, step)), hidden, s);
    store(s, at(row, j));
    top = max_nan(top, s);
  }
  const float old = *row.top, now = max_of(top);
  VF sum = zero();
  const int64_t computed = now == kHidden ? 0 : std::min(end, (row.visible + step - 1) / step * step);
  for (int64_t j = 0; j < computed; j += step) {
    const VF p = exp_nonpositive(hn::Sub(load(at(row, j)), splat(now)));
    store(p, at(row, j));
    sum = hn::Add(sum, p);
  }
  for (int64_t j = computed; j < end; j += step) store(zero(), at(row, j));
  if (now == kHidden) return 1.0f;
  const float factor = old == kHidden ? 0.0f : hn::GetLane(exp_nonpositive(splat(old - now)));
  *row.top = now;
  *row.sum = *row.sum * factor + sum_of(sum);
  return factor;
}

void gradient_panel(const GradientPanel& panel) {
  const int64_t step = lanes();
  const VF scale = splat(panel.scale);
  for (int64_t t = 0; t < panel.queries; t += step) {
    const VF lse = load(panel.lse + t), delta = load(panel.delta + t);
    const VF begin = load(panel.begin + t), end = load(panel.end + t);
    const int64_t chunk = t / kChunk * panel.keys * kChunk + t % kChunk;
    for (int64_t i = 0; i < panel.keys; ++i) {
      const int64_t k = chunk + i * kChunk;
      VF s = zero(), slope = zero();
      if (panel.cap == 0) {
        s = hn::MulSub(load(panel.scores + k), scale, lse);
      } else {
        s = hn::Sub(capped(hn::Mul(load(panel.scores + k), scale), panel.cap, &slope), lse);
      }
      const VF key = splat(static_cast<float>(panel.first_key + i));
      MF seen = hn::And(hn::Gt(end, key), hn::Le(begin, key));
      if (panel.added != nullptr) {
        const VF added = load(panel.added + k);
        if (panel.hides) seen = hn::And(seen, hn::Gt(added, splat(kHidden)));
        s = hn::Add(s, added);
      }
      const VF p = hn::IfThenElseZero(seen, exp_nonpositive(s));
      store(p, panel.scores + k);
      VF ds = hn::Mul(hn::Mul(p, hn::Sub(load(panel.slopes + k), delta)), scale);
      if (panel.cap != 0) ds = hn::Mul(ds, slope);
      store(hn::IfThenElseZero(seen, ds), panel.slopes + k);
    }
  }
}

ScoreUpdate find_update() { return update_row; }
GradientFn find_gradient() { return gradient_panel; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lazuli::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lazuli::cpu {
namespace {

HWY_EXPORT(find_update);
HWY_EXPORT(find_gradient);

}  // namespace

ScoreUpdate score_update() { return HWY_DYNAMIC_DISPATCH(find_update)(); }
GradientFn attention_gradient() { return HWY_DYNAMIC_DISPATCH(find_gradient)(); }

}  // namespace lazuli::cpu
#endif
