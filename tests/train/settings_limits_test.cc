// Checks the ranges of settings that are given to the library itself: what is at a limit is taken, what is beyond it is refused by name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "lazuli/adapter.h"
#include "lazuli/error.h"
#include "lazuli/generate.h"
#include "lazuli/train.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

using test::message_of;
using testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class Settings, class Value>
void expect_range(Value Settings::*member, const std::vector<Value>& taken, const std::vector<Value>& refused, const std::string& message) {
  for (const Value value : taken) {
    Settings settings;
    settings.*member = value;
    EXPECT_NO_THROW(settings.check()) << message << " " << value;
  }
  for (const Value value : refused) {
    Settings settings;
    settings.*member = value;
    EXPECT_THAT(message_of<ValueError>([&] { settings.check(); }), HasSubstr(message)) << value;
  }
}

TEST(TrainConfig, SettingsHaveRanges) {
  const double nan = std::nan("");
  expect_range<TrainConfig, int64_t>(&TrainConfig::iterations, {0, 1}, {-1}, "[train] iterations: at least 0 is expected, got -1");
  expect_range<TrainConfig, int64_t>(&TrainConfig::warmup_steps, {0, 1}, {-1}, "[train] warmup_steps: at least 0 is expected, got -1");
  for (const auto& [member, name] : {std::pair(&TrainConfig::learning_rate, "learning_rate"),
                                     {&TrainConfig::weight_decay, "weight_decay"},
                                     {&TrainConfig::max_grad_norm, "max_grad_norm"}}) {
    expect_range<TrainConfig, double>(member, {0, 1e300}, {-1e-300, kInfinity, nan},
                                      std::string("[train] ") + name + ": a number of at least 0 is expected, got ");
  }
  for (const auto& [member, name] : {std::pair(&TrainConfig::beta1, "beta1"), {&TrainConfig::beta2, "beta2"}}) {
    expect_range<TrainConfig, double>(member, {0, 0.9999}, {-1e-9, 1, nan},
                                      std::string("[train] ") + name + ": a number in [0, 1) is expected, got ");
  }
  expect_range<TrainConfig, double>(&TrainConfig::eps, {1e-300, 0.9999}, {0, -1e-8, 1, nan}, "[train] eps: a number in (0, 1) is expected");
}

TEST(LoRAConfig, SettingsHaveRanges) {
  const double nan = std::nan("");
  expect_range<LoRAConfig, int64_t>(&LoRAConfig::rank, {1, 65536}, {0, -1, 65537}, "[lora] a rank from 1 to 65536 is expected, got ");
  expect_range<LoRAConfig, double>(&LoRAConfig::alpha, {0, 1e9}, {-1e-9, 1.0000001e9, nan}, "[lora] an alpha from 0 to 1e9 is expected");
  expect_range<LoRAConfig, double>(&LoRAConfig::dropout, {0, 0.9999}, {-1e-9, 1, nan}, "[lora] a dropout in [0, 1) is expected, got ");
  LoRAConfig none;
  none.target_modules.clear();
  EXPECT_THAT(message_of<ValueError>([&] { none.check(); }), HasSubstr("at least one target module is expected"));
  none.target_pattern = ".*";
  EXPECT_NO_THROW(none.check());
}

TEST(SamplerOptions, SettingsHaveRanges) {
  const double nan = std::nan("");
  expect_range<SamplerOptions, double>(&SamplerOptions::temperature, {0, 1e-300, 1e300}, {-1e-300, kInfinity, nan},
                                       "[generate] temperature of at least 0 is expected, got ");
  expect_range<SamplerOptions, double>(&SamplerOptions::top_p, {1e-300, 1}, {0, -0.5, 1.0000001, nan}, "[generate] top_p in (0, 1]");
  expect_range<SamplerOptions, int64_t>(&SamplerOptions::top_k, {0, 1}, {-1}, "[generate] top_k of at least 0 is expected, got -1");
  expect_range<SamplerOptions, double>(&SamplerOptions::min_p, {0, 1}, {-1e-9, 1.0000001, nan}, "[generate] min_p in [0, 1] is expected");
  expect_range<SamplerOptions, double>(&SamplerOptions::repetition_penalty, {1e-300, 1e300}, {0, -1, kInfinity, nan},
                                       "[generate] repetition_penalty above 0 is expected, got ");
  expect_range<SamplerOptions, int64_t>(&SamplerOptions::repetition_context, {0, 1}, {-1}, "repetition_context of at least 0 is expected");
}

TEST(TrainConfig, TheScheduleStandsAtItsBorders) {
  TrainConfig c;
  c.iterations = 10;
  c.warmup_steps = 4;
  c.learning_rate = 1;
  c.schedule = RateSchedule::linear;
  EXPECT_DOUBLE_EQ(learning_rate(c, 1), 0.25);
  EXPECT_DOUBLE_EQ(learning_rate(c, 4), 1);
  EXPECT_DOUBLE_EQ(learning_rate(c, 5), 1);
  EXPECT_DOUBLE_EQ(learning_rate(c, 6), 5.0 / 6);
  EXPECT_DOUBLE_EQ(learning_rate(c, 10), 1.0 / 6);
  EXPECT_DOUBLE_EQ(learning_rate(c, 11), 0);
  EXPECT_DOUBLE_EQ(learning_rate(c, 12), 0);
  // Steps that are all for the warm-up.
  c.iterations = 4;
  EXPECT_DOUBLE_EQ(learning_rate(c, 5), 1);
  EXPECT_DOUBLE_EQ(learning_rate(c, 6), 0);
  c.iterations = 2;
  EXPECT_DOUBLE_EQ(learning_rate(c, 5), 1);
  EXPECT_EQ(parse_rate_schedule("constant"), RateSchedule::constant);
  EXPECT_EQ(parse_rate_schedule("linear"), RateSchedule::linear);
  EXPECT_THAT(message_of<ValueError>([] { parse_rate_schedule("step"); }), HasSubstr("constant, cosine or linear is expected, got 'step'"));
}

}  // namespace
}  // namespace lazuli
