// Checks matrix products of sizes that reach every way of computing them, on every target that the machine has.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <tuple>

#include "conformance/data.h"
#include "conformance/harness.h"
#include "hwy/targets.h"

namespace lazuli::cpu {
namespace {

using conformance::OpCall;

void on_every_target(const std::function<void()>& body) {
  constexpr int64_t kPortable = HWY_EMU128 | HWY_SCALAR;
  for (int64_t target : {int64_t{HWY_AVX3}, int64_t{HWY_AVX2}, kPortable}) {
    if (target != kPortable && (hwy::SupportedTargets() & target) == 0) continue;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    body();
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
}

std::vector<float> product(const Tensor& a, const Tensor& b) {
  const int64_t m = a.dim(0), k = a.dim(1), n = b.dim(1);
  const auto x = a.to_vector<float>(), y = b.to_vector<float>();
  std::vector<double> sums(static_cast<size_t>(m * n));
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t p = 0; p < k; ++p) {
      const auto v = static_cast<double>(x[static_cast<size_t>(i * k + p)]);
      for (int64_t j = 0; j < n; ++j) sums[static_cast<size_t>(i * n + j)] += v * static_cast<double>(y[static_cast<size_t>(p * n + j)]);
    }
  }
  return {sums.begin(), sums.end()};
}

Tensor transposed(const Tensor& x) {
  return Tensor(x.dtype(), {x.dim(1), x.dim(0)}, {x.strides()[1], x.strides()[0]}, x.buffer(), x.offset_bytes());
}

void expect_product(DType dtype, int64_t m, int64_t n, int64_t k, bool ta, bool tb) {
  SCOPED_TRACE(std::string(name_of(dtype)) + " " + to_string(Shape{m, n, k}) + (ta ? " a^T" : "") + (tb ? " b^T" : ""));
  const Tensor a = conformance::random(dtype, ta ? Shape{k, m} : Shape{m, k}, 1, -1, 1);
  const Tensor b = conformance::random(dtype, tb ? Shape{n, k} : Shape{k, n}, 2, -1, 1);
  OpCall call{Op::matmul, {a, b}};
  call.attrs.i = {ta ? 1 : 0, tb ? 1 : 0, 0, 0};
  const auto got = conformance::run(cpu_backend(), call)[0];
  const auto want = product(ta ? transposed(a) : a, tb ? transposed(b) : b);
  const auto values = got.to_vector<float>();
  const double rounding = dtype == DType::f32 ? 0 : dtype == DType::f16 ? 0x1p-11 : 0x1p-8;
  double worst = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const double w = static_cast<double>(want[i]);
    worst = std::max(worst, std::fabs(static_cast<double>(values[i]) - w) - rounding * std::fabs(w));
  }
  EXPECT_LE(worst, 2e-7 * static_cast<double>(k) + 1e-6);
  EXPECT_TRUE(conformance::identical(got, conformance::run(cpu_backend(), call, {5})[0]));
}

TEST(CpuGemm, EveryShapeIsCloseToDouble) {
  const std::tuple<int64_t, int64_t, int64_t> sizes[] = {{1, 8, 512},    {1, 513, 70},   {3, 40, 300},  {14, 33, 257}, {29, 47, 64},
                                                         {131, 77, 530}, {300, 150, 17}, {60, 161, 8},  {257, 5, 96},  {90, 1, 40},
                                                         {49, 49, 513},  {5, 300, 1025}, {400, 24, 33}, {16, 16, 16}};
  on_every_target([&] {
    for (const auto& [m, n, k] : sizes) {
      for (const bool ta : {false, true}) {
        for (const bool tb : {false, true}) expect_product(DType::f32, m, n, k, ta, tb);
      }
    }
  });
}

TEST(CpuGemm, SixteenBitOperands) {
  on_every_target([] {
    for (DType dtype : {DType::bf16, DType::f16}) {
      for (const bool ta : {false, true}) {
        for (const bool tb : {false, true}) {
          expect_product(dtype, 70, 99, 290, ta, tb);
          expect_product(dtype, 3, 70, 100, ta, tb);
          expect_product(dtype, 120, 9, 64, ta, tb);
        }
      }
    }
  });
}

}  // namespace
}  // namespace lazuli::cpu
