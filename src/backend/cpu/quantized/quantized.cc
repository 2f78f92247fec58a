// Rounding of activations to integers, and products with weights of 8 and 4 bits for any processor.
#include "backend/cpu/quantized/quantized.h"

#include <algorithm>

#include "backend/cpu/common/thresholds.h"
#include "backend/cpu/gemm/emulated.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/quantized/quantized.cc"
#include "backend/cpu/common/each_target.h"
#include "backend/cpu/quantized/quantized_simd.h"

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu {
namespace HWY_NAMESPACE {
namespace {

template <class T>
void round_row8(const T* x, int64_t k, std::byte* row) {
  auto& out = *reinterpret_cast<RoundedRow*>(row);
  int8_t* values = out.values();
  out.scale = scale_of(x, k);
  round_values(x, k, out.scale, values);
  std::fill(values + k, values + (k + 63) / 64 * 64, int8_t{0});
  int32_t sum = 0;
  for (int64_t i = 0; i < k; ++i) sum += values[i];
  out.sum = sum;
}

template <class T>
void round_row4(const T* x, int64_t k, std::byte* row) {
  auto* block = reinterpret_cast<RoundedBlock*>(row);
  for (int64_t first = 0; first < k; first += kQuantizedBlock, ++block) {
    HWY_ALIGN int8_t values[kQuantizedBlock];
    const int64_t n = std::min(kQuantizedBlock, k - first);
    std::fill_n(values, kQuantizedBlock, int8_t{0});
    for (int64_t g = 0; g < 4; ++g) {
      float scale = 0;
      if (g * kQuantizedGroup < n) {
        const T* group = x + first + g * kQuantizedGroup;
        scale = scale_of(group, kQuantizedGroup);
        round_values(group, kQuantizedGroup, scale, values + g * kQuantizedGroup);
      }
      std::fill_n(block->scale + 4 * g, 4, scale);
    }
    for (int64_t j = 0; j < 64; ++j) {
      block->even[j] = values[2 * j];
      block->odd[j] = values[2 * j + 1];
    }
    std::fill_n(block->start, 16, 0);
    for (int64_t g = 0; g < 4; ++g) {
      int32_t sum = 0;
      for (int64_t i = g * kQuantizedGroup; i < (g + 1) * kQuantizedGroup; ++i) sum += values[i];
      block->start[4 * g] = -8 * sum;
    }
  }
}

#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128

int32_t dot8(const int8_t* w, const int8_t* x, int64_t k) {
  int32_t sum = 0;
  for (int64_t p = 0; p < k; ++p) sum += static_cast<int32_t>(w[p]) * static_cast<int32_t>(x[p]);
  return sum;
}

/// Of 16 bytes, whose halves are numbers 8 too large, without what that adds.
int32_t dot4(const uint8_t* w, const int8_t* even, const int8_t* odd) {
  int32_t sum = 0;
  for (int64_t p = 0; p < 16; ++p) sum += (w[p] & 15) * even[p] + (w[p] >> 4) * odd[p];
  return sum;
}

#else

// Sums of integers are exact, so they are those of the plain loops.
HWY_INLINE int32_t dot8(const int8_t* w, const int8_t* x, int64_t k) {
  const hn::ScalableTag<int16_t> d16;
  const hn::Rebind<int8_t, decltype(d16)> d8;
  const auto step = static_cast<int64_t>(hn::Lanes(d16));
  VI even = hn::Zero(I32()), odd = even;
  int64_t p = 0;
  for (; p + step <= k; p += step) {
    const auto a = hn::PromoteTo(d16, hn::LoadU(d8, w + p)), b = hn::PromoteTo(d16, hn::LoadU(d8, x + p));
    even = hn::ReorderWidenMulAccumulate(I32(), a, b, even, odd);
  }
  int32_t sum = hn::GetLane(hn::SumOfLanes(I32(), hn::Add(even, odd)));
  for (; p < k; ++p) sum += static_cast<int32_t>(w[p]) * static_cast<int32_t>(x[p]);
  return sum;
}

/// Of 16 bytes, whose halves are numbers 8 too large, without what that adds.
HWY_INLINE int32_t dot4(const uint8_t* w, const int8_t* even, const int8_t* odd) {
  const hn::CappedTag<int16_t, 16> d16;
  const hn::RepartitionToWide<decltype(d16)> d32;
  const hn::Rebind<int8_t, decltype(d16)> d8;
  const hn::Rebind<uint8_t, decltype(d16)> u8;
  auto sum = hn::Zero(d32), other = sum;
  for (int64_t p = 0; p < 16; p += static_cast<int64_t>(hn::Lanes(d16))) {
    const auto both = hn::PromoteTo(d16, hn::LoadU(u8, w + p));
    const auto low = hn::And(both, hn::Set(d16, int16_t{15})), high = hn::ShiftRight<4>(both);
    sum = hn::ReorderWidenMulAccumulate(d32, low, hn::PromoteTo(d16, hn::LoadU(d8, even + p)), sum, other);
    sum = hn::ReorderWidenMulAccumulate(d32, high, hn::PromoteTo(d16, hn::LoadU(d8, odd + p)), sum, other);
  }
  return hn::GetLane(hn::SumOfLanes(d32, hn::Add(sum, other)));
}

#endif

void product8(const QuantizedTile& t) {
  for (int64_t j = 0; j < t.columns; ++j) {
    const auto* w = reinterpret_cast<const int8_t*>(t.q + j * t.q_stride);
    const float scale = quantized_scale(t.scales, t.half_scales, j * t.scale_stride);
    for (int64_t i = 0; i < t.rows; ++i) {
      const auto& row = *reinterpret_cast<const RoundedRow*>(t.x + i * t.x_stride);
      t.out[i * t.ldo + j] = static_cast<float>(dot8(w, row.values(), t.k)) * (row.scale * scale);
    }
  }
}

void product4(const QuantizedTile& t) {
  const int64_t groups = t.k / kQuantizedGroup;
  float scales[threshold::quantized::kLongest / kQuantizedGroup];
  for (int64_t j = 0; j < t.columns; ++j) {
    const auto* w = reinterpret_cast<const uint8_t*>(t.q + j * t.q_stride);
    for (int64_t g = 0; g < groups; ++g) scales[g] = quantized_scale(t.scales, t.half_scales, j * t.scale_stride + g);
    for (int64_t i = 0; i < t.rows; ++i) {
      const auto* block = reinterpret_cast<const RoundedBlock*>(t.x + i * t.x_stride);
      float sum = 0;
      for (int64_t g = 0; g < groups; ++g) {
        const RoundedBlock& b = block[g / 4];
        const int64_t at = g % 4;
        const int32_t whole = dot4(w + g * 16, b.even + at * 16, b.odd + at * 16) + b.start[4 * at];
        sum += static_cast<float>(whole) * (b.scale[4 * at] * scales[g]);
      }
      t.out[i * t.ldo + j] = sum;
    }
  }
}

/// In place of panels of bytes: packs nothing, but uses up scratch as they do.
template <int64_t kBits>
void plain_panels(const QuantizedTile& t, std::byte* scratch) {
  std::fill_n(scratch, panel_bytes(kBits, t.k), std::byte{0xff});
  kBits == 8 ? product8(t) : product4(t);
}

void fill_quantized(int64_t bits, QuantizedKernels& set) {
  if (bits == 8) {
    set = {round_any<round_row8<float>, round_row8<bf16>, round_row8<f16>>, product8, nullptr};
  } else {
    set = {round_any<round_row4<float>, round_row4<bf16>, round_row4<f16>>, product4, nullptr};
  }
  if (emulated().byte_panels) set.panels = bits == 8 ? plain_panels<8> : plain_panels<4>;
  if (HWY_TARGET == HWY_AVX3 && set.panels == nullptr) {
    if (const auto product = quantized_product_vnni(bits)) {
      set.product = product;
      set.panels = quantized_panels_vnni(bits);
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lazuli::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lazuli::cpu {

HWY_EXPORT(fill_quantized);

QuantizedKernels integer_kernels(int64_t bits) {
  QuantizedKernels set{};
  HWY_DYNAMIC_DISPATCH(fill_quantized)(bits, set);
  return set;
}

float quantized_scale(const void* scales, bool half, int64_t at) {
  return half ? static_cast<float>(static_cast<const f16*>(scales)[at]) : static_cast<const float*>(scales)[at];
}

}  // namespace lazuli::cpu
#endif
