// Checks the rounding of weights to 8 and 4 bits.
#include "lazuli/quantize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "conformance/data.h"
#include "lazuli/error.h"
#include "support/each_target.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

using testing::HasSubstr;

double squared_error(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t k = 0; k < a.size(); ++k) sum += (static_cast<double>(a[k]) - b[k]) * (static_cast<double>(a[k]) - b[k]);
  return sum;
}

/// The error of one group with the scale that brings its largest magnitude to 7.
double error_of_absmax(const std::vector<float>& group) {
  float largest = 0;
  for (const float v : group) largest = std::max(largest, std::fabs(v));
  std::vector<float> rounded;
  for (const float v : group) rounded.push_back(largest > 0 ? std::nearbyint(v * 7 / largest) * largest / 7 : 0);
  return squared_error(group, rounded);
}

/// Sums of random numbers, near to a normal distribution, with one that stands out in every third row.
Tensor weight_like(int64_t rows, int64_t columns) {
  std::vector<float> sum(static_cast<size_t>(rows * columns));
  for (uint64_t seed = 0; seed < 6; ++seed) {
    const auto part = conformance::random(DType::f32, {rows, columns}, seed, -0.02, 0.02).to_vector<float>();
    for (size_t k = 0; k < sum.size(); ++k) sum[k] += part[k];
  }
  for (int64_t row = 0; row < rows; row += 3) sum[static_cast<size_t>(row * columns + row % columns)] = row % 2 == 0 ? 0.5F : -0.5F;
  return Tensor::from_vector(sum, {rows, columns});
}

TEST(Quantize, EightBitsAreWithinHalfAStepOfEachRow) {
  const Tensor w = weight_like(37, 45);
  on_every_target([&](const std::string& target) {
    const QuantizedWeight q = quantize(w, QuantFormatId::int8);
    EXPECT_EQ(q.rows, 37);
    EXPECT_EQ(q.columns, 45);
    const auto from = w.to_vector<float>(), to = dequantized(q).to_vector<float>();
    const auto scales = q.scales().to_vector<float>();
    for (size_t k = 0; k < from.size(); ++k) EXPECT_NEAR(from[k], to[k], 0.501F * scales[k / 45]) << target << " " << k;
  });
}

TEST(Quantize, FourBitsAreNoWorseThanScalesByTheLargestMagnitude) {
  const Tensor w = weight_like(60, 96);
  on_every_target([&](const std::string& target) {
    const QuantizedWeight q = quantize(w, QuantFormatId::int4);
    EXPECT_EQ(q.columns, 96);
    const auto from = w.to_vector<float>(), to = dequantized(q).to_vector<float>();
    double ours = 0, absmax = 0;
    for (size_t k = 0; k < from.size(); k += 32) {
      const auto at = static_cast<std::ptrdiff_t>(k);
      const std::vector<float> group(from.begin() + at, from.begin() + at + 32), rounded(to.begin() + at, to.begin() + at + 32);
      const double error = squared_error(group, rounded);
      // Scales are rounded to 16 bits.
      EXPECT_LE(error, error_of_absmax(group) * 1.01) << target << ", group at " << k;
      ours += error;
      absmax += error_of_absmax(group);
    }
    EXPECT_LT(ours, 0.9 * absmax);
  });
}

TEST(Quantize, FourBitsUseBothEndsOfTheRange) {
  // -8 exists and 8 does not: the scale is negative where that serves the largest number.
  std::vector<float> v(64);
  for (size_t k = 0; k < v.size(); ++k) v[k] = static_cast<float>(static_cast<int>(k % 16) - 8) * (k < 32 ? 0.25F : -0.25F);
  const auto to = dequantized(quantize(Tensor::from_vector(v, {1, 64}), QuantFormatId::int4)).to_vector<float>();
  EXPECT_EQ(to, v);
}

TEST(Quantize, ZerosStayZeros) {
  for (const QuantFormatId format : {QuantFormatId::int8, QuantFormatId::int4}) {
    const auto to = dequantized(quantize(Tensor::zeros(DType::bf16, {3, 64}), format)).to_vector<float>();
    EXPECT_THAT(to, testing::Each(0.0F));
  }
}

TEST(Quantize, RefusesWhatItCannotRound) {
  EXPECT_THROW(quantize(Tensor::zeros(DType::f32, {32}), QuantFormatId::int8), ShapeError);
  EXPECT_THROW(quantize(Tensor::zeros(DType::f32, {2, 48}), QuantFormatId::int4), ShapeError);
  EXPECT_THROW(quantize(Tensor::zeros(DType::i32, {2, 32}), QuantFormatId::int8), DTypeError);
  EXPECT_THROW(quantize(Tensor::zeros(DType::f32, {2, 32}), QuantFormatId::q4_k), ValueError);
  EXPECT_EQ(parse_quantization("int4"), Quantization::int4);
  EXPECT_THAT(test::message_of<ValueError>([] { parse_quantization("int5"); }), HasSubstr("none, int8, int4"));
}

TEST(Quantize, NumbersThatAreNotFiniteAreRefusedByRow) {
  on_every_target([&](const std::string& target) {
    for (const float odd :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
      for (const size_t at : {size_t{96}, size_t{100}, size_t{191}}) {
        std::vector<float> v(5 * 96, 0.5F);
        v[at] = odd;
        for (const QuantFormatId format : {QuantFormatId::int8, QuantFormatId::int4}) {
          EXPECT_THAT(test::message_of<ValueError>([&] {
                        quantize(Tensor::from_vector(v, {5, 96}), format);
                      }),
                      HasSubstr("row 1 has a number"))
              << target << " " << name_of(format);
        }
      }
      // A tail beside whole vectors.
      std::vector<float> v(45, 0.5F);
      v[44] = odd;
      EXPECT_THROW(quantize(Tensor::from_vector(v, {1, 45}), QuantFormatId::int8), ValueError) << target;
    }
    std::vector<float> v(64, 3e6F);
    EXPECT_NO_THROW(quantize(Tensor::from_vector(v, {1, 64}), QuantFormatId::int8));
    EXPECT_THAT(test::message_of<ValueError>([&] {
                  quantize(Tensor::from_vector(v, {1, 64}), QuantFormatId::int4);
                }),
                HasSubstr("too large for a scale of f16"));
  });
}

}  // namespace
}  // namespace lazuli
