// Checks every op of the table on the cpu backend against the reference backend.
#include <gtest/gtest.h>

#include "conformance/cases.h"
#include "lazuli/error.h"

namespace lazuli::conformance {
namespace {

class Conformance : public ::testing::TestWithParam<int> {
 protected:
  static Op op() { return static_cast<Op>(GetParam()); }
};

bool has_kernel(Op op) { return info(op).cls != OpClass::leaf && info(op).cls != OpClass::view; }

TEST_P(Conformance, TableHasARow) {
  const auto cases = cases_of(op());
  ASSERT_TRUE(cases.has_value()) << name_of(op()) << " has no row in tests/conformance/cases.cc";
  EXPECT_EQ(!cases->empty(), has_kernel(op())) << name_of(op());
}

/// f64 lives on the reference backend only.
bool reference_only(const Case& c) {
  for (const Tensor& t : c.call.inputs) {
    if (t.dtype() == DType::f64 && t.rank() > 0) return true;
  }
  return c.call.target && c.call.target->dtype == DType::f64;
}

/// Chunks, memory of operands and unused results must not change a bit.
void expect_same_in_all_variants(const Case& c, const std::vector<Tensor>& results) {
  std::vector<Variant> variants = {{2}, {7}, {1 << 20}, {1, true}, {3, true}};
  for (size_t j = 0; results.size() > 1 && j < results.size(); ++j) variants.push_back({1, false, static_cast<int>(j)});
  for (const Variant& variant : variants) {
    const auto again = run(cpu_backend(), c.call, variant);
    for (size_t j = 0; j < results.size(); ++j) {
      if (static_cast<int>(j) == variant.unused) continue;
      EXPECT_TRUE(identical(again[j], results[j])) << "result " << j << " changes with chunks=" << variant.chunks
                                                   << " in_place=" << variant.in_place << " unused=" << variant.unused;
    }
  }
}

TEST_P(Conformance, CpuAgreesWithReference) {
  std::string missing;
  for (const Case& c : cases_of(op()).value_or(Cases())) {
    SCOPED_TRACE(std::string(name_of(op())) + " " + c.label);
    const auto wanted = run(reference_backend(), c.call);
    if (reference_only(c)) continue;
    try {
      const auto results = run(cpu_backend(), c.call);
      for (size_t j = 0; j < wanted.size(); ++j) {
        const std::string what = difference(results[j], wanted[j], c.tolerance);
        EXPECT_TRUE(what.empty()) << "result " << j << ": " << what;
      }
      expect_same_in_all_variants(c, results);
    } catch (const DTypeError& e) {
      if (std::string(e.what()).find("only supported on the reference backend") == std::string::npos) ADD_FAILURE() << e.what();
      missing = e.what();
    }
  }
  if (!missing.empty()) GTEST_SKIP() << missing;
}

TEST(ConformanceTable, LeavesAndViewsHaveNoKernel) {
  const Attrs attrs;
  for (int k = 0; k < kOpCount; ++k) {
    const Op op = static_cast<Op>(k);
    if (has_kernel(op)) continue;
    EXPECT_THROW(reference_backend().prepare({op, attrs, {}, {}, nullptr}), GraphError) << name_of(op);
    EXPECT_THROW(cpu_backend().prepare({op, attrs, {}, {}, nullptr}), GraphError) << name_of(op);
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, Conformance, ::testing::Range(0, kOpCount),
                         [](const auto& param) { return std::string(name_of(static_cast<Op>(param.param))); });

}  // namespace
}  // namespace lazuli::conformance
