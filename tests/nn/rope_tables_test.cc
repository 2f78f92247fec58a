// Checks rotary tables against numbers of Hugging Face's transformers.
#include "nn/rope_tables.h"

#include <gtest/gtest.h>

#include <cmath>

#include "lazuli/error.h"

namespace lazuli {
namespace {

RopeScaling llama3(double factor, int64_t original) {
  RopeScaling s;
  s.kind = RopeScaling::Kind::llama3;
  s.factor = factor;
  s.low_freq_factor = 1;
  s.high_freq_factor = 4;
  s.original_max_position_embeddings = original;
  return s;
}

TEST(RopeTables, Llama3FrequenciesMatchTransformers) {
  const auto f = rope_frequencies(64, 500000.0, llama3(32, 8192));
  const std::pair<size_t, float> expected[] = {
      {0, 1.0F},           {5, 0.12868738F},    {12, 0.007292665F},   {14, 0.003211446F},   {15, 0.001290548F},
      {16, 0.0004295567F}, {17, 9.708286e-05F}, {18, 1.9461639e-05F}, {24, 1.6619674e-06F}, {31, 9.4183065e-08F}};
  for (const auto& [k, value] : expected) EXPECT_FLOAT_EQ(f[k], value) << k;
}

TEST(RopeTables, LinearFrequenciesMatchTransformers) {
  RopeScaling s;
  s.kind = RopeScaling::Kind::linear;
  s.factor = 4;
  const auto f = rope_frequencies(64, 10000.0, s);
  const std::pair<size_t, float> expected[] = {{0, 0.25F}, {1, 0.18747355F}, {7, 0.033338036F}, {16, 0.0025F}, {31, 3.3338038e-05F}};
  for (const auto& [k, value] : expected) EXPECT_FLOAT_EQ(f[k], value) << k;
}

RopeScaling yarn(double factor, int64_t original) {
  RopeScaling s;
  s.kind = RopeScaling::Kind::yarn;
  s.factor = factor;
  s.original_max_position_embeddings = original;
  return s;
}

TEST(RopeTables, YarnFrequenciesMatchTransformers) {
  const auto f = rope_frequencies(64, 1e6, yarn(4, 32768));
  const std::pair<size_t, float> expected[] = {{0, 1.0F},
                                               {1, 0.649381638F},
                                               {10, 0.0133352149F},
                                               {14, 0.00177853031F},
                                               {18, 0.000175706868F},
                                               {20, 4.44569851e-05F},
                                               {24, 7.90569356e-06F},
                                               {31, 3.84981632e-07F}};
  for (const auto& [k, value] : expected) EXPECT_FLOAT_EQ(f[k], value) << k;
}

TEST(RopeTables, YarnsBordersNeedNotBeWholePairs) {
  RopeScaling s = yarn(16, 4096);
  s.truncate = false;
  s.beta_fast = 20;
  s.beta_slow = 2;
  const auto f = rope_frequencies(64, 1e4, s);
  const std::pair<size_t, float> expected[] = {{12, 0.0316227786F},  {14, 0.0138341822F},   {16, 0.00543578202F},
                                               {18, 0.00173877738F}, {20, 0.000236627617F}, {31, 8.3345094e-06F}};
  for (const auto& [k, value] : expected) EXPECT_FLOAT_EQ(f[k], value) << k;
}

TEST(RopeTables, LongropeHasFactorsForTextsWithinTheOriginalContextAndBeyond) {
  RopeScaling s;
  s.kind = RopeScaling::Kind::longrope;
  s.short_factors = {1, 1.1};
  s.long_factors = {1, 2};
  s.original_max_position_embeddings = 300;
  s.attention_factor = 1.25;
  EXPECT_FLOAT_EQ(rope_frequencies(4, 1e4, s)[1], 0.01F / 1.1F);
  EXPECT_FLOAT_EQ(rope_frequencies(4, 1e4, s, true)[1], 0.01F / 2);
  const RopeTables tables({1e4, s, 4});
  const auto sine = [&](int64_t positions) { return tables.rows(positions).keys.sin.eval().data<float>()[3]; };  // of the second pair at 1
  EXPECT_NEAR(sine(300), 1.25 * std::sin(0.01 / 1.1), 1e-7);
  EXPECT_NEAR(sine(301), 1.25 * std::sin(0.01 / 2), 1e-7);
  EXPECT_NEAR(sine(1), 1.25 * std::sin(0.01 / 1.1), 1e-7) << "a short text after a long one";
  s.long_factors = {1, 2, 3};
  EXPECT_THROW(rope_frequencies(4, 1e4, s, true), ValueError);
}

TEST(RopeTables, CosinesAndSinesOfFarPositionsMatchTransformers) {
  const RopeTables tables({500000.0, llama3(32, 8192), 64});
  const auto rows = tables.rows(5001).keys;
  EXPECT_EQ(rows.cos.shape(), (Shape{8192, 32}));
  const Tensor cos = rows.cos.eval(), sin = rows.sin.eval();
  const struct {
    size_t k;
    float cos, sin;
  } expected[] = {
      {0, 0.1546684F, -0.9879664F}, {14, -0.9396239F, -0.3422089F}, {17, 0.8844817F, 0.46657488F}, {31, 0.9999999F, 0.00047091529F}};
  for (const auto& e : expected) {
    EXPECT_NEAR(cos.data<float>()[5000 * 32 + e.k], e.cos, 1e-6) << e.k;
    EXPECT_NEAR(sin.data<float>()[5000 * 32 + e.k], e.sin, 1e-6) << e.k;
  }
}

TEST(RopeTables, QueriesGrowWithThePosition) {
  const RopeTables tables({1e4, yarn(4, 100), 4, 0.25});
  const auto rows = tables.rows(256);
  const Tensor keys = rows.keys.cos.eval(), queries = rows.queries.cos.eval();
  for (const size_t position : {0U, 1U, 99U, 100U, 199U, 200U, 255U}) {
    const double growth = 1 + 0.25 * std::log(1 + static_cast<double>(position / 100));
    EXPECT_NEAR(queries.data<float>()[position * 2], growth * static_cast<double>(keys.data<float>()[position * 2]), 1e-6) << position;
  }
}

TEST(RopeTables, RowsGrowByPowersOfTwoAndStay) {
  const RopeTables tables({10000.0, {}, 8});
  EXPECT_EQ(tables.rows(1).keys.cos.dim(0), 256);
  EXPECT_EQ(tables.rows(300).keys.cos.dim(0), 512);
  EXPECT_EQ(tables.rows(10).keys.cos.dim(0), 512);
}

TEST(RopeTables, TheFirstPositionBeyondATableMakesALargerOne) {
  const RopeTables tables({10000.0, {}, 8});
  EXPECT_EQ(tables.rows(256).keys.cos.dim(0), 256);
  const Tensor before = tables.rows(256).keys.sin.eval();
  EXPECT_EQ(tables.rows(257).keys.cos.dim(0), 512);
  const Tensor cos = tables.rows(257).keys.cos.eval(), sin = tables.rows(257).keys.sin.eval();
  // The first frequency is 1. Rows that were there are what they were.
  for (const int64_t position : {255, 256, 257, 511}) {
    EXPECT_NEAR(cos.data<float>()[static_cast<size_t>(position * 4)], std::cos(static_cast<double>(position)), 1e-6) << position;
    EXPECT_NEAR(sin.data<float>()[static_cast<size_t>(position * 4)], std::sin(static_cast<double>(position)), 1e-6) << position;
  }
  for (size_t k = 0; k < 256 * 4; ++k) ASSERT_EQ(sin.data<float>()[k], before.data<float>()[k]) << k;
}

TEST(RopeTables, FrequenciesAtTheEdgesOfTheLlama3Stretch) {
  // Waves of exactly original / low_freq_factor and original / high_freq_factor positions are neither long nor short.
  RopeScaling s = llama3(4, 64);
  const double two_pi = 2 * std::acos(-1.0);
  const auto stretched = [&](double wave) {
    // With a head size of 4 the second frequency is theta^(-1/2).
    return rope_frequencies(4, std::pow(wave / two_pi, 2), s)[1] * wave / two_pi;
  };
  EXPECT_NEAR(stretched(10), 1, 1e-5) << "short";
  EXPECT_NEAR(stretched(100), 0.25, 1e-5) << "long";
  EXPECT_NEAR(stretched(64.001), 0.25, 1e-3);
  EXPECT_NEAR(stretched(63.999), 0.25, 1e-3);
  EXPECT_NEAR(stretched(16.001), 1, 1e-3);
  EXPECT_NEAR(stretched(15.999), 1, 1e-3);
  EXPECT_NEAR(stretched(32), 1.0 / 3 + 2.0 / 3 * 0.25, 1e-4) << "between: a third of the way from long to short";
}

TEST(RopeTables, OddHeadSizesAreRefused) { EXPECT_THROW(rope_frequencies(7, 10000.0, {}), ValueError); }

}  // namespace
}  // namespace lazuli
