// Checks the reading of pooling configurations in both of their forms.
#include "embed/pooling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <tuple>

#include "lazuli/error.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

using test::message_of;
using testing::AllOf;
using testing::ElementsAre;
using testing::FloatNear;
using testing::HasSubstr;

class PoolingConfig : public testing::Test {
 protected:
  Pooling read(const std::string& text, int64_t states = 8) const {
    folder_.write("config.json", text);
    ModelFolder folder(folder_.path());
    return Pooling::read(folder, states);
  }
  std::string error(const std::string& text) const {
    return message_of<FormatError>([&] { read(text); });
  }
  test::TempFolder folder_;
};

TEST_F(PoolingConfig, FlagsAreJoinedInAFixedOrder) {
  const Pooling p = read(R"({"word_embedding_dimension": 8, "pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true,
    "pooling_mode_max_tokens": false, "pooling_mode_lasttoken": true, "include_prompt": false})");
  EXPECT_THAT(p.modes, ElementsAre(PoolingMode::cls, PoolingMode::mean, PoolingMode::lasttoken));
  EXPECT_FALSE(p.include_prompt);
}

TEST_F(PoolingConfig, NamesAreJoinedInTheirOwnOrder) {
  EXPECT_THAT(read(R"({"embedding_dimension": 8, "pooling_mode": ["weightedmean", "max"]})").modes,
              ElementsAre(PoolingMode::weightedmean, PoolingMode::max));
  EXPECT_THAT(read(R"({"pooling_mode": "mean_sqrt_len_tokens"})").modes, ElementsAre(PoolingMode::mean_sqrt_len_tokens));
  EXPECT_THAT(read("{}").modes, ElementsAre(PoolingMode::mean));
}

TEST_F(PoolingConfig, EveryModeHasAFlagAndAName) {
  const std::tuple<const char*, const char*, PoolingMode> modes[] = {
      {"pooling_mode_cls_token", "cls", PoolingMode::cls},
      {"pooling_mode_max_tokens", "max", PoolingMode::max},
      {"pooling_mode_mean_tokens", "mean", PoolingMode::mean},
      {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", PoolingMode::mean_sqrt_len_tokens},
      {"pooling_mode_weightedmean_tokens", "weightedmean", PoolingMode::weightedmean},
      {"pooling_mode_lasttoken", "lasttoken", PoolingMode::lasttoken}};
  for (const auto& [flag, name, mode] : modes) {
    EXPECT_THAT(read(std::string("{\"") + flag + "\": true}").modes, ElementsAre(mode));
    EXPECT_THAT(read(std::string("{\"") + flag + "\": false}").modes, ElementsAre(PoolingMode::mean));
    EXPECT_THAT(read(std::string("{\"pooling_mode\": \"") + name + "\"}").modes, ElementsAre(mode));
    EXPECT_THAT(read(std::string("{\"pooling_mode\": [\"") + name + "\"]}").modes, ElementsAre(mode));
    EXPECT_EQ(read(std::string("{\"") + flag + "\": true}").packs(), mode != PoolingMode::max);
  }
  EXPECT_NO_THROW(read(R"({"pooling_mode_median_tokens": false, "pooling_mode": null, "include_prompt": true})"));
  EXPECT_TRUE(read("{}").include_prompt);
  EXPECT_THAT(error(R"({"pooling_mode": ["cls", "median"]})"), HasSubstr("$.pooling_mode[1]: cls, max, mean, mean_sqrt_len_tokens"));
  EXPECT_THAT(error(R"({"pooling_mode_median_tokens": true})"), HasSubstr("this kind of pooling is unknown"));
  EXPECT_THAT(error(R"({"embedding_dimension": 7})"), HasSubstr("$.embedding_dimension: 8, the size of the states, expected, got 7"));
}

TEST_F(PoolingConfig, WhatDoesNotFitIsNamed) {
  EXPECT_THAT(error(R"({"pooling_mode": "median"})"), AllOf(HasSubstr("config.json"), HasSubstr("median")));
  EXPECT_THAT(error(R"({"pooling_mode_median_tokens": true})"), HasSubstr("pooling_mode_median_tokens"));
  EXPECT_THAT(error(R"({"word_embedding_dimension": 9})"), AllOf(HasSubstr("word_embedding_dimension"), HasSubstr("8"), HasSubstr("9")));
}

TEST(PoolingModes, TakeTheTokensOfTheMask) {
  const LazyTensor states = LazyTensor::from_slice({1.F, 2.F, 3.F, 4.F, -6.F, 8.F, 99.F, 99.F}, {1, 4, 2});
  const LazyTensor all = LazyTensor::from_slice({true, true, true, false}, {1, 4});
  const LazyTensor without_first = LazyTensor::from_slice({false, true, true, false}, {1, 4});
  const auto pooled = [&](PoolingMode mode, const LazyTensor& mask) {
    return Pooling{{mode}, true}.forward(states, mask).eval().to_vector<float>();
  };
  const auto near = [](float a, float b) { return ElementsAre(FloatNear(a, 1e-5F), FloatNear(b, 1e-5F)); };
  EXPECT_THAT(pooled(PoolingMode::cls, all), near(1, 2));
  EXPECT_THAT(pooled(PoolingMode::cls, without_first), near(3, 4));
  EXPECT_THAT(pooled(PoolingMode::lasttoken, all), near(-6, 8));
  EXPECT_THAT(pooled(PoolingMode::max, without_first), near(3, 8));
  EXPECT_THAT(pooled(PoolingMode::mean, without_first), near(-1.5F, 6));
  EXPECT_THAT(pooled(PoolingMode::mean_sqrt_len_tokens, without_first), near(-3 / std::sqrt(2.F), 12 / std::sqrt(2.F)));
  EXPECT_THAT(pooled(PoolingMode::weightedmean, without_first), near((6 - 18) / 5.F, (8 + 24) / 5.F));
}

TEST(PoolingModes, GiveTheSameForTextsThatLieOneAfterTheOther) {
  // Texts of 3 and 2 tokens, and one token of none.
  const LazyTensor padded = LazyTensor::from_slice({1.F, 2.F, 3.F, 4.F, -6.F, 8.F, 5.F, 1.F, 0.5F, 7.F, 99.F, 99.F}, {2, 3, 2});
  const LazyTensor mask = LazyTensor::from_slice({false, true, true, true, true, false}, {2, 3});
  const LazyTensor packed = LazyTensor::from_slice({1.F, 2.F, 3.F, 4.F, -6.F, 8.F, 5.F, 1.F, 0.5F, 7.F, 77.F, 77.F}, {6, 2});
  const LazyTensor rows = LazyTensor::from_slice({false, true, true, false, false, false, false, false, false, true, true, false}, {2, 6});
  const LazyTensor positions = LazyTensor::from_slice({int32_t{0}, 1, 2, 0, 1, 0}, {6});
  const Pooling pooling{
      {PoolingMode::cls, PoolingMode::mean, PoolingMode::mean_sqrt_len_tokens, PoolingMode::weightedmean, PoolingMode::lasttoken}, true};
  EXPECT_TRUE(pooling.packs());
  const std::vector<float> wanted = pooling.forward(padded, mask).eval().to_vector<float>();
  const std::vector<float> got = pooling.forward_packed(packed, rows, positions).eval().to_vector<float>();
  ASSERT_EQ(got.size(), wanted.size());
  for (size_t k = 0; k < got.size(); ++k) EXPECT_NEAR(got[k], wanted[k], 1e-5F) << k;
}

TEST(PoolingModes, AMaximumIsNotPacked) {
  const Pooling pooling{{PoolingMode::mean, PoolingMode::max}, true};
  EXPECT_FALSE(pooling.packs());
  const LazyTensor states = LazyTensor::zeros({2, 4}), mask = LazyTensor::ones({1, 2}, DType::boolean);
  EXPECT_THROW(pooling.forward_packed(states, mask, LazyTensor::zeros({2}, DType::i32)), ValueError);
}

}  // namespace
}  // namespace lazuli
