// Implements the rounding of rows of weights, with vectors.
#include "backend/round_rows.h"

#include <algorithm>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/quantized/round_rows.cc"
#include "backend/cpu/common/each_target.h"
#include "backend/cpu/common/simd.h"

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu {
namespace HWY_NAMESPACE {
namespace {

constexpr int64_t kGroupOf4 = quant::kGroup;
// Where the largest magnitude of a group may come to lie. 8 is there on the side of the negative numbers; what exceeds the range is cut,
// which pays where one number stands out.
constexpr float kLargest[] = {5.5F, 6.0F, 6.5F, 7.0F, 7.25F, 7.5F, 7.75F, 8.0F, 8.5F};

/// The largest magnitude; NaN where a number is not finite.
float largest_of(const float* x, int64_t n) {
  VF most = zero(), odd = zero();
  int64_t i = 0;
  for (; i + lanes() <= n; i += lanes()) {
    const VF v = load(x + i);
    most = hn::Max(most, hn::Abs(v));
    odd = hn::MulAdd(v, zero(), odd);
  }
  float largest = max_of(most), rest = sum_of(odd);
  for (; i < n; ++i) {
    largest = std::max(largest, std::fabs(x[i]));
    rest += x[i] * 0;
  }
  return rest == 0 ? largest : rest;
}

float row8(const float* x, int64_t n, int8_t* values) {
  const float scale = largest_of(x, n) / 127.0F;
  if (std::isnan(scale)) return scale;
  const float factor = scale > 1e-37F ? 1.0F / scale : 0;
  for (int64_t i = 0; i < n; ++i) values[i] = static_cast<int8_t>(std::nearbyint(std::clamp(x[i] * factor, -127.0F, 127.0F)));
  return factor == 0 ? 0 : scale;
}

HWY_INLINE VF whole4(VF x, VF factor) { return hn::Min(hn::Max(hn::Round(hn::Mul(x, factor)), splat(-8.0F)), splat(7.0F)); }

/// What the best scale for these integers explains of the group's sum of squares, and that scale.
struct Fit {
  float explained = 0, scale = 0;
};
HWY_INLINE Fit fit(const float* x, float factor) {
  VF products = zero(), squares = zero();
  for (int64_t i = 0; i < kGroupOf4; i += lanes()) {
    const VF v = load(x + i), q = whole4(v, splat(factor));
    products = hn::MulAdd(v, q, products);
    squares = hn::MulAdd(q, q, squares);
  }
  const float p = sum_of(products), s = sum_of(squares);
  return s > 0 ? Fit{p * p / s, p / s} : Fit{};
}

/// The scale of a group in f16; 0 for a group of zeros, NaN where a number is not finite.
f16 scale4(const float* x) {
  const float largest = largest_of(x, kGroupOf4);
  if (!(largest > 1e-30F)) return f16(std::isnan(largest) ? largest : 0.0F);
  Fit best;
  for (const float at : kLargest) {
    for (const float factor : {at / largest, -at / largest}) {
      const Fit f = fit(x, factor);
      if (f.explained > best.explained) best = f;
    }
  }
  return f16(best.scale);
}

void row4(const float* x, int64_t n, uint8_t* values, f16* scales) {
  for (int64_t first = 0; first < n; first += kGroupOf4) {
    const float* group = x + first;
    const f16 scale = scale4(group);
    scales[first / kGroupOf4] = scale;
    const auto wide = static_cast<float>(scale);
    if (!std::isfinite(wide)) continue;
    const VF factor = splat(wide != 0 ? 1.0F / wide : 0);
    HWY_ALIGN float whole[kGroupOf4];
    for (int64_t i = 0; i < kGroupOf4; i += lanes()) hn::StoreU(whole4(load(group + i), factor), F32(), whole + i);
    for (int64_t i = 0; i < kGroupOf4; i += 2) {
      const auto low = static_cast<unsigned>(static_cast<int>(whole[i]) + 8),
                 high = static_cast<unsigned>(static_cast<int>(whole[i + 1]) + 8);
      values[(first + i) / 2] = static_cast<uint8_t>(low | high << 4);
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lazuli::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lazuli {

namespace cpu {

HWY_EXPORT(row8);
HWY_EXPORT(row4);

}  // namespace cpu

namespace quant {

float round_row8(const float* x, int64_t n, int8_t* values) {
  using namespace cpu;
  return HWY_DYNAMIC_DISPATCH(row8)(x, n, values);
}

void round_row4(const float* x, int64_t n, uint8_t* values, f16* scales) {
  using namespace cpu;
  HWY_DYNAMIC_DISPATCH(row4)(x, n, values, scales);
}

}  // namespace quant

}  // namespace lazuli
#endif
