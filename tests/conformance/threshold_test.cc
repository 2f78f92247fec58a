// Checks the cpu backend just below, at and just above every threshold of its kernels, and that the lists of thresholds are whole.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <set>

#include "conformance/check.h"
#include "conformance/thresholds.h"

namespace lazuli::conformance {
namespace {

bool large_cases() { return std::getenv("LAZULI_LARGE_CASES") != nullptr; }

#ifdef LAZULI_INSTRUMENTED
constexpr size_t kEach = 7;
#else
constexpr size_t kEach = 1;
#endif

class CpuThresholds : public ::testing::TestWithParam<size_t> {};

TEST_P(CpuThresholds, AreNoBordersOfCorrectness) {
  const Threshold threshold = cpu_thresholds()[GetParam()];
  const auto cases = cases_around(threshold, large_cases());
  ASSERT_TRUE(cases.has_value()) << threshold.group << "." << threshold.name << " has no row in tests/conformance/threshold_*.cc";
  EXPECT_FALSE(cases->empty());
  for (size_t k = 0; k < cases->size(); k += kEach) EXPECT_EQ(wrong_on_cpu((*cases)[k]), "") << (*cases)[k].label;
}

INSTANTIATE_TEST_SUITE_P(All, CpuThresholds, ::testing::Range(size_t{0}, cpu_thresholds().size()), [](const auto& tested) {
  const Threshold threshold = cpu_thresholds()[tested.param];
  return std::string(threshold.group) + "_" + threshold.name;
});

/// scripts/thresholds.sh shows it.
TEST(Thresholds, Table) {
  std::set<std::string> names;
  size_t all = 0;
  const bool shown = std::getenv("LAZULI_SHOW_THRESHOLDS") != nullptr;
  for (const auto& list : {cpu_thresholds(), cuda_thresholds()}) {
    for (const Threshold& t : list) {
      const std::string name = std::string(t.group) + "." + t.name;
      const auto cases = cases_around(t, large_cases());
      ASSERT_TRUE(cases.has_value()) << name << " has no row in tests/conformance/threshold_*.cc";
      std::set<std::string> ops;
      for (const Case& c : *cases) ops.insert(std::string(lazuli::name_of(c.call.op)));
      EXPECT_TRUE(names.insert(name).second) << name << " is there twice";
      EXPECT_FALSE(cases->empty()) << name;
      all += cases->size();
      if (!shown) continue;
      std::printf("%-32s %10lld  %-32s %4zu cases of %2zu ops\n", name.c_str(), static_cast<long long>(t.value), t.of, cases->size(),
                  ops.size());
    }
  }
  if (shown) std::printf("%zu thresholds, %zu cases\n", names.size(), all);
}

TEST(Thresholds, NoRowIsOfAThresholdThatThereIsNot) {
  std::set<std::string> names;
  for (const auto& list : {cpu_thresholds(), cuda_thresholds()}) {
    for (const Threshold& t : list) names.insert(std::string(t.group) + "." + t.name);
  }
  for (const auto& rows : {around_products(), around_experts(), around_rows(), around_cuda()}) {
    for (const Around& row : rows) EXPECT_TRUE(names.count(row.name) == 1) << row.name;
  }
}

}  // namespace
}  // namespace lazuli::conformance
