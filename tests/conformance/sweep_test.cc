// Checks random cases around the thresholds of the cpu backend. scripts/sweep.sh does that for ten minutes, from another seed each time.
#include "conformance/sweep.h"

#include <gtest/gtest.h>

#include "backend/cpu/common/tuning.h"
#include "conformance/check.h"
#include "conformance/exact.h"
#include "lazuli/op.h"
#include "support/cpu_settings.h"

namespace lazuli::conformance {
namespace {

#ifdef LAZULI_INSTRUMENTED
constexpr int64_t kRounds = 40;
#else
constexpr int64_t kRounds = 300;
#endif
constexpr double kTerms = 2e7;

/// Every fifth case with one number of the tuning as a profile may have it.
std::string wrong_with_some_tuning(const Case& c, uint64_t seed) {
  if (seed % 5 != 0) return wrong_on_cpu(c, {seed % 2 == 0, seed % 3 == 0});
  const auto numbers = cpu::tuned_numbers();
  const cpu::TunedNumber& number = numbers[static_cast<size_t>(seed / 5) % numbers.size()];
  const int64_t value = number.candidates[static_cast<size_t>(seed / 5 / numbers.size()) % number.candidates.size()];
  const WithTuned tuned(number.member, value);
  const std::string what = wrong_on_cpu(c, {true, false});
  return what.empty() ? what : std::string(number.name) + " " + std::to_string(value) + ": " + what;
}

TEST(CpuSweep, RandomCasesAroundThresholdsAreRight) { EXPECT_EQ(sweep(cpu_thresholds(), kRounds, kTerms, wrong_with_some_tuning), ""); }

/// What the sweep must notice: a panel in another one's place, a tail that was left out, a part that was added twice.
TEST(CpuSweep, ATermOfASumThatIsMissingIsNoticed) {
  const auto thresholds = cpu_thresholds();
  int64_t products = 0;
  for (uint64_t seed = 1; seed < 60; ++seed) {
    Case c = random_case(seed, thresholds, kTerms / 16);
    if (c.call.op != Op::matmul && c.call.op != Op::lora_linear) continue;
    ++products;
    const Tensor right = run(cpu_backend(), c.call)[0];
    EXPECT_EQ(wrong_on_cpu(c), "");
    // The last step of k counts as zero.
    const Tensor x = c.call.inputs[0].contiguous();
    auto values = x.to_vector<float>();
    const bool turned = c.call.op == Op::matmul && c.call.attrs.i[0] != 0;
    const auto rows = static_cast<size_t>(x.dim(0)), columns = static_cast<size_t>(x.dim(1));
    for (size_t i = 0; i < (turned ? columns : rows); ++i) values[turned ? (rows - 1) * columns + i : i * columns + columns - 1] = 0;
    OpCall without = c.call;
    without.inputs[0] = Tensor::from_vector(values, x.shape()).to(x.dtype());
    EXPECT_NE(wrong_product(c.call, run(cpu_backend(), without)[0]), "") << c.label;
  }
  EXPECT_GT(products, 5);
}

}  // namespace
}  // namespace lazuli::conformance
