// Checks the choice of tokens: greedy, filters, penalty and reproducible draws.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "lazuli/error.h"
#include "lazuli/generate.h"

namespace lazuli {
namespace {

/// How often each token comes in `draws` draws.
std::map<int32_t, int> counts(SamplerOptions options, const std::vector<float>& logits, int draws = 4000) {
  options.temperature = options.temperature == 0 ? 1 : options.temperature;
  Sampler sampler(options);
  std::map<int32_t, int> out;
  for (int k = 0; k < draws; ++k) ++out[sampler.next(logits, {})];
  return out;
}

std::vector<float> log_of(std::vector<float> probabilities) {
  for (float& p : probabilities) p = std::log(p);
  return probabilities;
}

const std::vector<float> kLogits = log_of({0.1F, 0.4F, 0.3F, 0.2F});

TEST(Sampler, TemperatureZeroTakesTheFirstOfTheHighest) {
  Sampler sampler({});
  EXPECT_EQ(sampler.next(std::vector<float>{1, 3, 3, 2}, {}), 1);
}

TEST(Sampler, DrawsFollowTheProbabilities) {
  const auto n = counts({}, kLogits);
  EXPECT_NEAR(n.at(0), 400, 80);
  EXPECT_NEAR(n.at(1), 1600, 130);
  EXPECT_NEAR(n.at(2), 1200, 120);
  EXPECT_NEAR(n.at(3), 800, 110);
}

TEST(Sampler, TemperatureSharpens) {
  SamplerOptions o;
  o.temperature = 0.5;
  EXPECT_NEAR(counts(o, kLogits).at(1), 4000 * 0.16 / 0.30, 130);
}

TEST(Sampler, TopKKeepsTheHighest) {
  SamplerOptions o;
  o.top_k = 2;
  const auto n = counts(o, kLogits);
  EXPECT_EQ(n.size(), 2U);
  EXPECT_TRUE(n.count(1) && n.count(2));
}

TEST(Sampler, TopPKeepsWhatReachesTheSum) {
  SamplerOptions o;
  o.top_p = 0.65;
  EXPECT_EQ(counts(o, kLogits).size(), 2U);
  o.top_p = 0.75;
  EXPECT_EQ(counts(o, kLogits).size(), 3U);
  o.top_p = 1e-6;
  EXPECT_EQ(counts(o, kLogits).size(), 1U);
}

TEST(Sampler, MinPKeepsAPartOfTheHighest) {
  SamplerOptions o;
  o.min_p = 0.6;
  EXPECT_EQ(counts(o, kLogits).size(), 2U);
}

TEST(Sampler, FiltersLookAtMoreThanOneBlock) {
  std::vector<float> flat(5000, 0.0F);
  flat[4999] = 1.0F;
  SamplerOptions o;
  o.top_p = 0.5;
  for (const auto& [id, n] : counts(o, flat, 500)) EXPECT_TRUE(id < 2510 || id == 4999) << id;
  o.top_p = 1;
  o.top_k = 3000;
  for (const auto& [id, n] : counts(o, flat, 500)) EXPECT_TRUE(id < 3000 || id == 4999) << id;
}

TEST(Sampler, ThePenaltyMakesRecentTokensLessLikely) {
  SamplerOptions o;
  o.repetition_penalty = 2;
  o.repetition_context = 2;
  Sampler sampler(o);
  EXPECT_EQ(sampler.next(std::vector<float>{4, 3, 1}, std::vector<int32_t>{0}), 1);
  EXPECT_EQ(sampler.next(std::vector<float>{-1, -1.5F, -9}, std::vector<int32_t>{0}), 1);
  EXPECT_EQ(sampler.next(std::vector<float>{4, 3, 1}, std::vector<int32_t>{0, 2, 2}), 0);
  // A token seen twice is penalised once.
  EXPECT_EQ(sampler.next(std::vector<float>{4, 1.5F, 1}, std::vector<int32_t>{0, 0}), 0);
}

TEST(Sampler, SeedsGiveTheSameDrawsAgain) {
  SamplerOptions o;
  o.temperature = 1;
  const auto sequence = [&](uint64_t seed) {
    o.seed = seed;
    Sampler sampler(o);
    std::vector<int32_t> out;
    for (int k = 0; k < 50; ++k) out.push_back(sampler.next(kLogits, {}));
    return out;
  };
  EXPECT_EQ(sequence(1), sequence(1));
  EXPECT_NE(sequence(1), sequence(2));
}

TEST(Sampler, TokensOfNoProbabilityAreNeverDrawn) {
  const float none = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(counts({}, {none, 0.0F, none, 0.0F}).size(), 2U);
}

TEST(Sampler, ValuesOutOfRangeAreRefused) {
  const auto with = [](auto set) {
    SamplerOptions o;
    set(o);
    return o;
  };
  EXPECT_THROW(Sampler(with([](auto& o) { o.temperature = -1; })), ValueError);
  EXPECT_THROW(Sampler(with([](auto& o) { o.top_p = 0; })), ValueError);
  EXPECT_THROW(Sampler(with([](auto& o) { o.top_k = -1; })), ValueError);
  EXPECT_THROW(Sampler(with([](auto& o) { o.min_p = 2; })), ValueError);
  EXPECT_THROW(Sampler(with([](auto& o) { o.repetition_penalty = 0; })), ValueError);
  EXPECT_THROW(Sampler({}).next({}, {}), ValueError);
  EXPECT_THROW(Sampler({}).next(std::vector<float>{0, std::nanf("")}, {}), ValueError);
}

}  // namespace
}  // namespace lazuli
