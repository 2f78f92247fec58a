// Tests of dtype promotion and the 16-bit float conversions.
#include "lazuli/dtype.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

namespace lazuli {
namespace {

TEST(DType, PromotionIsCommutativeAndKeepsEqualTypes) {
  for (int i = 0; i < kDTypeCount; ++i) {
    EXPECT_EQ(promote(static_cast<DType>(i), static_cast<DType>(i)), static_cast<DType>(i));
    for (int j = 0; j < kDTypeCount; ++j) {
      const auto a = static_cast<DType>(i);
      const auto b = static_cast<DType>(j);
      EXPECT_EQ(promote(a, b), promote(b, a));
    }
  }
}

TEST(DType, PromotionFindsTheSmallestCommonType) {
  EXPECT_EQ(promote(DType::f16, DType::bf16), DType::f32);
  EXPECT_EQ(promote(DType::bf16, DType::f32), DType::f32);
  EXPECT_EQ(promote(DType::f16, DType::f64), DType::f64);
  EXPECT_EQ(promote(DType::i64, DType::f16), DType::f16);
  EXPECT_EQ(promote(DType::i8, DType::u8), DType::i32);
  EXPECT_EQ(promote(DType::i32, DType::i64), DType::i64);
  EXPECT_EQ(promote(DType::boolean, DType::u8), DType::u8);
}

TEST(F16, EveryValueSurvivesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    f16 h;
    h.bits = static_cast<uint16_t>(bits);
    const float v = h;
    if (std::isnan(v)) {
      EXPECT_TRUE(std::isnan(static_cast<float>(f16(v))));
    } else {
      EXPECT_EQ(f16(v).bits, bits);
    }
  }
}

/// The nearest f16 found by comparing with both neighbours in double precision, ties to the even one.
uint16_t nearest_f16(float v) {
  const double magnitude = std::fabs(static_cast<double>(v));
  uint16_t low = 0;
  uint16_t high = 0x7c00;
  const auto value = [](uint16_t bits) {
    f16 h;
    h.bits = bits;
    return bits == 0x7c00 ? 65536.0 : static_cast<double>(static_cast<float>(h));
  };
  while (high - low > 1) {
    const auto middle = static_cast<uint16_t>((low + high) / 2);
    (value(middle) <= magnitude ? low : high) = middle;
  }
  const double down = magnitude - value(low);
  const double up = value(high) - magnitude;
  uint16_t best = down < up || (down == up && low % 2 == 0) ? low : high;
  if (std::isinf(v)) best = 0x7c00;
  return static_cast<uint16_t>(best | (std::signbit(v) ? 0x8000 : 0));
}

TEST(F16, RoundsToNearestEvenEverywhere) {
  uint32_t u = 1;
  for (int i = 0; i < 200000; ++i) {
    u = u * 1664525u + 1013904223u;
    // Exponents around and below the range of f16, all mantissas.
    const uint32_t exponent = 96 + (u >> 8) % 52;
    const auto v = std::bit_cast<float>((u & 0x807fffffu) | (exponent << 23));
    ASSERT_EQ(f16(v).bits, nearest_f16(v)) << v;
  }
  for (float v : {0.0F, -0.0F, 65519.99F, 65520.0F, 65504.0F, 0x1p-25F, 0x1.8p-24F, 0x1.000002p-25F, 2049.0F, 2051.0F, -1e30F}) {
    EXPECT_EQ(f16(v).bits, nearest_f16(v)) << v;
  }
  EXPECT_EQ(f16(std::numeric_limits<float>::infinity()).bits, 0x7c00);
}

TEST(BF16, RoundsToNearestEvenAndKeepsNaN) {
  EXPECT_EQ(bf16(1.0F).bits, 0x3f80);
  EXPECT_EQ(bf16(std::bit_cast<float>(0x3f808000u)).bits, 0x3f80);
  EXPECT_EQ(bf16(std::bit_cast<float>(0x3f818000u)).bits, 0x3f82);
  EXPECT_TRUE(std::isnan(static_cast<float>(bf16(std::bit_cast<float>(0x7f800001u)))));
  EXPECT_TRUE(std::isinf(static_cast<float>(bf16(std::numeric_limits<float>::max()))));
}

}  // namespace
}  // namespace lazuli
