// Checks profiles of the CPU backend: what they hold comes back, what cannot be one is refused, and any of them gives right products.
#include <gtest/gtest.h>

#include <cmath>

#include "backend/cpu/common/tuning.h"
#include "base/json_writer.h"
#include "base/system_info.h"
#include "lazuli/error.h"
#include "lazuli/ops.h"
#include "lazuli/plan_cache.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

std::string profile_of(const std::string& processor, const std::string& name, int64_t value) {
  JsonWriter w;
  w.begin_object().field("processor", processor).key("values").begin_object().field(name, value).end_object().end_object();
  return w.text();
}

TEST(CpuTuning, AProfileComesBackAsItWasWritten) {
  const test::TempFolder folder;
  cpu::Tuning tuning;
  for (const cpu::TunedNumber& number : cpu::tuned_numbers()) tuning.*number.member = number.candidates.front();
  cpu::write_profile(folder.path("a/b/profile.json"), tuning);
  const cpu::Tuning back = cpu::read_profile(folder.path("a/b/profile.json"));
  for (const cpu::TunedNumber& number : cpu::tuned_numbers()) EXPECT_EQ(back.*number.member, tuning.*number.member) << number.name;
}

TEST(CpuTuning, ValuesOfAnotherProcessorAreLeftOut) {
  const test::TempFolder folder;
  folder.write("p.json", profile_of("an abacus", "few_dots", 16));
  EXPECT_EQ(cpu::read_profile(folder.path("p.json")).few_dots, cpu::Tuning{}.few_dots);
}

TEST(CpuTuning, WhatIsNoProfileIsRefusedByName) {
  const test::TempFolder folder;
  folder.write("cut.json", R"({"processor": "x")");
  folder.write("range.json", profile_of(system_info().processor, "piece_of_k", 0));
  for (const char* name : {"cut.json", "range.json"}) {
    try {
      cpu::read_profile(folder.path(name));
      FAIL() << name;
    } catch (const FormatError& error) {
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    }
  }
}

TEST(CpuTuning, EveryCandidateGivesTheSameProducts) {
  const cpu::Tuning before = cpu::tuning();
  const LazyTensor x = sin(mul_scalar(reshape(arange(0, 97 * 613, 1, DType::f32), {97, 613}), 0.37));
  const LazyTensor w = sin(mul_scalar(reshape(arange(0, 613 * 211, 1, DType::f32), {613, 211}), 0.11));
  x.eval();
  w.eval();
  const Tensor expected = matmul(x, w).eval();
  for (const cpu::TunedNumber& number : cpu::tuned_numbers()) {
    for (const int64_t value : number.candidates) {
      cpu::Tuning tuning;
      tuning.*number.member = value;
      cpu::set_tuning(tuning);
      clear_plan_cache();
      const Tensor y = matmul(x, w).eval();
      for (size_t k = 0; k < static_cast<size_t>(y.numel()); k += 101) {
        EXPECT_NEAR(y.data<float>()[k], expected.data<float>()[k], 2e-4) << number.name << " " << value;
      }
    }
  }
  cpu::set_tuning(before);
  clear_plan_cache();
}

}  // namespace
}  // namespace lazuli
