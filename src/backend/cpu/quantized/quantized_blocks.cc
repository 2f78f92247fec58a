// Products with weights in blocks, and their numbers as floats. The loops of each format are made from its entry in the table: where its
// bits lie in a block is known when they are compiled. Blocks are read where they are; of a row of the weight 256 numbers at a time are
// integers.
#include "backend/cpu/quantized/quantized.h"
#include "tensor/quant_block.h"
#include "tensor/quant_table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/quantized/quantized_blocks.cc"
#include "backend/cpu/common/each_target.h"
#include "backend/cpu/quantized/quantized_simd.h"

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu {
namespace HWY_NAMESPACE {
namespace {

template <QuantFormatId kId>
inline constexpr const QuantFormat& kFormat = quant_table::entry(kId);

/// Part of a row of the weight.
template <QuantFormatId kId>
struct Span {
  static constexpr const QuantFormat& f = kFormat<kId>;
  static constexpr int64_t kGroup = f.scale.group;
  static constexpr int64_t kGroups = kQuantizedSpan / kGroup;
  static constexpr bool kMinima = f.zero == QuantZero::minimum;
  static_assert(kQuantizedSpan % f.block == 0 && kQuantizedGroup % kGroup == 0);
  alignas(64) int8_t codes[kQuantizedSpan];
  float scale[kGroups];
  float minimum[kGroups];
};

/// Adds `bits` of `count` codes to those that are there, `up` places higher.
template <int kBits, int kRun>
HWY_INLINE void add_bits(const uint8_t* bytes, int64_t count, int up, uint8_t* codes) {
  constexpr int kPerByte = 8 / kBits, kMask = (1 << kBits) - 1;
  for (int64_t first = 0; first < count; first += kRun * kPerByte, bytes += kRun) {
    for (int slot = 0; slot < kPerByte; ++slot) {
      uint8_t* to = codes + first + slot * kRun;
      for (int i = 0; i < kRun; ++i) to[i] = static_cast<uint8_t>(to[i] | ((bytes[i] >> (kBits * slot)) & kMask) << up);
    }
  }
}

/// The codes of a block as what they stand for, in units of the codebook.
template <QuantFormatId kId>
HWY_INLINE void integers_of(const uint8_t* block, int8_t* out) {
  constexpr const QuantFormat& f = kFormat<kId>;
  static_assert(!f.low.high_first && !f.high.high_first);
  auto* codes = reinterpret_cast<uint8_t*>(out);
  std::fill_n(codes, f.block, uint8_t{0});
  add_bits<f.low.bits, f.low.run>(block + f.low.at, f.block, 0, codes);
  if constexpr (f.high.bits != 0) add_bits<f.high.bits, f.high.run>(block + f.high.at, f.block, f.low.bits, codes);
  if constexpr (f.codebook != nullptr) {
    static_assert(f.bits() == 4 && f.codebook_unit != 0);
    int8_t table[16];
    for (int i = 0; i < 16; ++i) table[i] = static_cast<int8_t>(f.codebook[i] / f.codebook_unit);
    for (int i = 0; i < f.block; ++i) out[i] = table[codes[i]];
  } else if constexpr (f.offset != 0) {
    for (int i = 0; i < f.block; ++i) out[i] = static_cast<int8_t>(codes[i] - f.offset);
  }
}

/// `count` blocks.
template <QuantFormatId kId>
HWY_INLINE void read_span(const uint8_t* blocks, int64_t count, Span<kId>& to) {
  using S = Span<kId>;
  constexpr const QuantFormat& f = S::f;
  for (int64_t b = 0; b < count; ++b, blocks += f.block_bytes) {
    integers_of<kId>(blocks, to.codes + b * f.block);
    for (int64_t g = 0; g < f.block / S::kGroup; ++g) {
      const int64_t at = b * (f.block / S::kGroup) + g;
      to.scale[at] = quant_block::scale_at(f, blocks, g * S::kGroup) * (f.codebook != nullptr ? f.codebook_unit : 1.0F);
      if constexpr (S::kMinima) to.minimum[at] = quant_block::minimum_at(f, blocks, g * S::kGroup);
    }
  }
}

#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128

template <int64_t kGroup>
float scaled_products(const int8_t* w, const float* scales, const RoundedSpan& x, int64_t n) {
  float total = 0;
  for (int64_t first = 0; first < n; first += kGroup) {
    int32_t sum = 0;
    for (int64_t p = first; p < first + kGroup; ++p) sum += static_cast<int32_t>(w[p]) * static_cast<int32_t>(x.values[p]);
    total += static_cast<float>(sum) * (scales[first / kGroup] * x.scale[first / kQuantizedGroup]);
  }
  return total;
}

#else

/// Integer products of each group, times the scales of both sides.
template <int64_t kGroup>
HWY_INLINE float scaled_products(const int8_t* w, const float* scales, const RoundedSpan& x, int64_t n) {
  const hn::CappedTag<int16_t, 16> d16;
  const hn::RepartitionToWide<decltype(d16)> d32;
  const hn::RebindToFloat<decltype(d32)> df;
  const hn::Rebind<int8_t, decltype(d16)> d8;
  auto total = hn::Zero(df);
  for (int64_t first = 0; first < n; first += kGroup) {
    auto sum = hn::Zero(d32), other = sum;
    for (int64_t p = first; p < first + kGroup; p += static_cast<int64_t>(hn::Lanes(d16))) {
      const auto a = hn::PromoteTo(d16, hn::LoadU(d8, w + p)), b = hn::PromoteTo(d16, hn::LoadU(d8, x.values + p));
      sum = hn::ReorderWidenMulAccumulate(d32, a, b, sum, other);
    }
    const float scale = scales[first / kGroup] * x.scale[first / kQuantizedGroup];
    total = hn::MulAdd(hn::ConvertTo(df, hn::Add(sum, other)), hn::Set(df, scale), total);
  }
  return hn::GetLane(hn::SumOfLanes(df, total));
}

#endif

template <QuantFormatId kId>
HWY_INLINE float product_of(const Span<kId>& w, const RoundedSpan& x, int64_t n) {
  using S = Span<kId>;
  float sum = scaled_products<S::kGroup>(w.codes, w.scale, x, n);
  if constexpr (S::kMinima) {
    static_assert(S::kGroup == kQuantizedGroup);
    for (int64_t g = 0; g < n / S::kGroup; ++g) sum -= w.minimum[g] * x.sum[g];
  }
  return sum;
}

template <QuantFormatId kId>
void product(const QuantizedTile& t) {
  constexpr const QuantFormat& f = kFormat<kId>;
  constexpr int64_t kBlocks = kQuantizedSpan / f.block;
  for (int64_t j = 0; j < t.columns; ++j) {
    const auto* blocks = reinterpret_cast<const uint8_t*>(t.q + j * t.q_stride);
    for (int64_t i = 0; i < t.rows; ++i) t.out[i * t.ldo + j] = 0;
    for (int64_t s = 0; s * kQuantizedSpan < t.k; ++s, blocks += kBlocks * f.block_bytes) {
      const int64_t n = std::min(kQuantizedSpan, t.k - s * kQuantizedSpan);
      Span<kId> span;
      read_span<kId>(blocks, n / f.block, span);
      for (int64_t i = 0; i < t.rows; ++i) {
        t.out[i * t.ldo + j] += product_of<kId>(span, reinterpret_cast<const RoundedSpan*>(t.x + i * t.x_stride)[s], n);
      }
    }
  }
}

template <class T>
void round_spans(const T* x, int64_t k, std::byte* row) {
  auto* span = reinterpret_cast<RoundedSpan*>(row);
  for (int64_t first = 0; first < k; first += kQuantizedSpan, ++span) {
    for (int64_t g = 0; g < kQuantizedSpan / kQuantizedGroup; ++g) {
      int8_t* values = span->values + g * kQuantizedGroup;
      const int64_t at = first + g * kQuantizedGroup;
      span->scale[g] = span->sum[g] = 0;
      if (at >= k) {
        std::fill_n(values, kQuantizedGroup, int8_t{0});
        continue;
      }
      span->scale[g] = scale_of(x + at, kQuantizedGroup);
      round_values(x + at, kQuantizedGroup, span->scale[g], values);
      int32_t sum = 0;
      for (int64_t i = 0; i < kQuantizedGroup; ++i) sum += values[i];
      span->sum[g] = static_cast<float>(sum) * span->scale[g];
    }
  }
}

template <QuantFormatId kId>
void expand(const std::byte* bytes, int64_t n, float* out) {
  constexpr const QuantFormat& f = kFormat<kId>;
  constexpr int64_t kGroup = f.scale.group;
  const auto* block = reinterpret_cast<const uint8_t*>(bytes);
  for (int64_t first = 0; first < n; first += f.block, block += f.block_bytes) {
    alignas(64) int8_t codes[f.block];
    integers_of<kId>(block, codes);
    for (int64_t g = 0; g < f.block; g += kGroup) {
      const float scale = quant_block::scale_at(f, block, g) * (f.codebook != nullptr ? f.codebook_unit : 1.0F);
      float* to = out + first + g;
      for (int64_t i = 0; i < kGroup; ++i) to[i] = scale * static_cast<float>(codes[g + i]);
      if constexpr (f.zero == QuantZero::minimum) {
        const float minimum = quant_block::minimum_at(f, block, g);
        for (int64_t i = 0; i < kGroup; ++i) to[i] -= minimum;
      }
    }
  }
}

void fill_block_loops(QuantFormatId format, QuantizedKernels& kernels, ExpandBlocks& numbers) {
  kernels.round_row = round_any<round_spans<float>, round_spans<bf16>, round_spans<f16>>;
  switch (format) {
#define LAZULI_FORMAT(id)                         \
  case QuantFormatId::id:                         \
    kernels.product = product<QuantFormatId::id>; \
    numbers = expand<QuantFormatId::id>;          \
    return;
    LAZULI_FORMAT(q4_0)
    LAZULI_FORMAT(q8_0)
    LAZULI_FORMAT(q4_k)
    LAZULI_FORMAT(q5_k)
    LAZULI_FORMAT(q6_k)
    LAZULI_FORMAT(iq4_nl)
    LAZULI_FORMAT(mxfp4)
#undef LAZULI_FORMAT
    default:
      return;
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lazuli::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lazuli::cpu {
namespace {

HWY_EXPORT(fill_block_loops);

}  // namespace

QuantizedKernels block_kernels(QuantFormatId format) {
  QuantizedKernels kernels{};
  ExpandBlocks numbers = nullptr;
  HWY_DYNAMIC_DISPATCH(fill_block_loops)(format, kernels, numbers);
  return kernels;
}

ExpandBlocks expand_blocks(QuantFormatId format) {
  QuantizedKernels kernels{};
  ExpandBlocks numbers = nullptr;
  HWY_DYNAMIC_DISPATCH(fill_block_loops)(format, kernels, numbers);
  return numbers;
}

QuantizedKernels quantized_kernels(QuantFormatId format) {
  const QuantFormat& f = quant_format(format);
  return f.storage == QuantStorage::blocks ? block_kernels(format) : integer_kernels(f.bits());
}

int64_t rounded_row_bytes(QuantFormatId format, int64_t k) {
  const QuantFormat& f = quant_format(format);
  if (f.storage == QuantStorage::blocks) return (k + kQuantizedSpan - 1) / kQuantizedSpan * static_cast<int64_t>(sizeof(RoundedSpan));
  if (f.bits() == 8) return static_cast<int64_t>(sizeof(RoundedRow)) + (k + 63) / 64 * 64;
  return (k + kQuantizedBlock - 1) / kQuantizedBlock * static_cast<int64_t>(sizeof(RoundedBlock));
}

}  // namespace lazuli::cpu
#endif
