// Checks products on the matrix unit: as exact as products by vectors or better, for every layout and dtype, and right where limbs are not
// finite.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "backend/cpu/gemm/matrix_unit.h"
#include "conformance/data.h"
#include "conformance/harness.h"
#include "lazuli/op.h"
#include "lazuli/ops.h"
#include "support/cpu_settings.h"

namespace lazuli::cpu {
namespace {

using conformance::OpCall;

class CpuMatrixUnit : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_matrix_unit()) GTEST_SKIP() << "the processor has no matrix unit";
  }
};

Tensor numbers(const Shape& shape, uint64_t seed, DType dtype = DType::f32) { return conformance::random(dtype, shape, seed, -1, 1); }

/// numbers() times something that depends on the place.
template <class Factor>
Tensor scaled(const Shape& shape, uint64_t seed, const Factor& factor) {
  auto values = numbers(shape, seed).to_vector<float>();
  for (size_t i = 0; i < values.size(); ++i) values[i] *= factor(static_cast<int64_t>(i));
  return Tensor::from_vector(values, shape);
}

OpCall product(const Tensor& a, const Tensor& b, bool ta = false, bool tb = false) {
  OpCall call{Op::matmul, {a, b}};
  call.attrs.i = {ta ? 1 : 0, tb ? 1 : 0, 0, 0};
  return call;
}

std::vector<float> values_of(const OpCall& call) { return conformance::run(cpu_backend(), call)[0].to_vector<float>(); }

/// The largest error, as a share of the sum of the absolute products.
double worst_error(const std::vector<float>& got, const Tensor& a, const Tensor& b) {
  const int64_t m = a.dim(0), k = a.dim(1), n = b.dim(1);
  const auto x = a.to_vector<double>(), y = b.to_vector<double>();
  double worst = 0;
  for (int64_t i = 0; i < m; i += 7) {
    for (int64_t j = 0; j < n; j += 5) {
      double sum = 0, size = 0;
      for (int64_t p = 0; p < k; ++p) {
        const double term = x[static_cast<size_t>(i * k + p)] * y[static_cast<size_t>(p * n + j)];
        sum += term;
        size += std::fabs(term);
      }
      worst = std::max(worst, std::fabs(static_cast<double>(got[static_cast<size_t>(i * n + j)]) - sum) / size);
    }
  }
  return worst;
}

TEST_F(CpuMatrixUnit, ProductsAreAsExactAsThoseByVectors) {
  for (const int64_t k : {64, 300, 2048}) {
    const Tensor a = numbers({192, k}, 1), b = numbers({k, 512}, 2);
    const std::vector<float> by_unit = values_of(product(a, b));
    const WithoutMatrixUnit off;
    const std::vector<float> by_vectors = values_of(product(a, b));
    EXPECT_NE(by_unit, by_vectors) << "one of them was not asked";
    EXPECT_LE(worst_error(by_unit, a, b), 1.1 * worst_error(by_vectors, a, b));
  }
}

TEST_F(CpuMatrixUnit, NumbersOfAllMagnitudes) {
  // Only the limbs of both operands' leading bits matter to a product: its error must not depend on their size.
  const Tensor a = scaled({64, 320}, 1, [](int64_t i) { return std::ldexp(1.0F, static_cast<int>(i * 37 % 120) - 60); });
  const Tensor b = scaled({320, 512}, 2, [](int64_t i) { return std::ldexp(1.0F, static_cast<int>(i * 53 % 120) - 60); });
  EXPECT_LE(worst_error(values_of(product(a, b)), a, b), 0x1p-22);
}

/// What the reference computes, within rounding.
void expect_as_reference(const OpCall& call, double spread) {
  const auto want = conformance::run(reference_backend(), call), got = conformance::run(cpu_backend(), call);
  for (size_t k = 0; k < want.size(); ++k) {
    EXPECT_EQ(conformance::difference(got[k], want[k], {4, spread, 2}), "") << "result " << k;
    for (const int64_t chunks : {2, 7}) EXPECT_TRUE(conformance::identical(got[k], conformance::run(cpu_backend(), call, {chunks})[k]));
  }
}

struct Sizes {
  int64_t m, n, k;
};

TEST_F(CpuMatrixUnit, EveryLayoutAndSize) {
  for (const Sizes& s : {Sizes{32, 1024, 256}, {300, 290, 70}, {257, 64, 513}, {31 * 9, 127, 333}, {544, 600, 65}}) {
    for (const bool ta : {false, true}) {
      for (const bool tb : {false, true}) {
        SCOPED_TRACE(to_string(Shape{s.m, s.n, s.k}) + (ta ? " a^T" : "") + (tb ? " b^T" : ""));
        expect_as_reference(
            product(numbers(ta ? Shape{s.k, s.m} : Shape{s.m, s.k}, 1), numbers(tb ? Shape{s.n, s.k} : Shape{s.k, s.n}, 2), ta, tb), 64);
      }
    }
  }
}

class CpuMatrixUnitDTypes : public CpuMatrixUnit, public testing::WithParamInterface<DType> {};

TEST_P(CpuMatrixUnitDTypes, WhatIsAddedToProductsStays) {
  const DType t = GetParam();
  const Tensor x = numbers({200, 310}, 1, t), bias = numbers({405}, 3, t), residual = numbers({200, 405}, 4, t);
  const Tensor a = numbers({310, 8}, 5, t), b = numbers({8, 405}, 6, t), scale = Tensor::from_vector(std::vector<float>{1.5F}, {});
  for (const bool transposed : {false, true}) {
    SCOPED_TRACE(transposed);
    const Tensor w = numbers(transposed ? Shape{405, 310} : Shape{310, 405}, 2, t), up = numbers(w.shape(), 7, t);
    expect_as_reference(product(x, w, false, transposed), 64);
    OpCall linear{Op::linear, {x, w, bias, residual}};
    linear.attrs.i = {transposed ? 1 : 0, 3, static_cast<int64_t>(Op::gelu), 0};
    expect_as_reference(linear, 64);
    OpCall lora{Op::lora_linear, {x, w, a, b, scale}};
    lora.attrs.i = {0, 0, transposed ? 1 : 0, 0};
    expect_as_reference(lora, 64);
    OpCall gated{Op::gated_linear, {x, w, up}};
    gated.attrs.i = {transposed ? 1 : 0, 0, static_cast<int64_t>(Op::silu), 0};
    expect_as_reference(gated, 64);
  }
}

TEST_P(CpuMatrixUnitDTypes, CrossEntropyAndItsGradient) {
  for (const int64_t rows : {300, 560}) {
    SCOPED_TRACE(rows);
    const Tensor x = numbers({rows, 97}, 1, GetParam()), w = numbers({3001, 97}, 2, GetParam());
    std::vector<int32_t> targets(static_cast<size_t>(rows));
    for (size_t k = 0; k < targets.size(); ++k) targets[k] = static_cast<int32_t>(k * 37 % 3001);
    OpCall call{Op::linear_cross_entropy, {x, w, Tensor::from_vector(targets, {rows}), Tensor::from_vector(std::vector<float>{0.1F}, {})}};
    call.attrs.i = {-100, 1, 0, 0};
    expect_as_reference(call, 512);
  }
}

INSTANTIATE_TEST_SUITE_P(All, CpuMatrixUnitDTypes, testing::Values(DType::f32, DType::bf16, DType::f16),
                         [](const auto& tested) { return std::string(name_of(tested.param)); });

TEST_F(CpuMatrixUnit, InfinitiesNansAndTheLargestNumbers) {
  constexpr float kInf = std::numeric_limits<float>::infinity(), kMax = std::numeric_limits<float>::max();
  for (const bool tb : {false, true}) {
    auto x = numbers({96, 300}, 1).to_vector<float>(), y = numbers({300, 512}, 2).to_vector<float>();
    // Sums over the largest number stay finite.
    for (size_t m = 0; m < 96; ++m) x[m * 300] *= 0.25F;
    for (size_t n = 0; n < 512; ++n) y[256 * 512 + n] *= 0.25F;
    x[3 * 300 + 299] = y[299 * 512 + 511] = kInf;
    x[40 * 300 + 7] = -kInf;
    x[41 * 300] = std::numeric_limits<float>::quiet_NaN();
    x[95 * 300 + 256] = y[0 * 512 + 100] = kMax;
    y[7 * 512 + 200] = 0;
    const Tensor a = Tensor::from_vector(x, {96, 300}), straight = Tensor::from_vector(y, {300, 512});
    const Tensor b = tb ? transpose(LazyTensor::from_tensor(straight)).eval().contiguous() : straight;
    const OpCall call = product(a, b, false, tb);
    const auto want = conformance::run(reference_backend(), call)[0].to_vector<float>(), got = values_of(call);
    for (size_t i = 0; i < want.size(); ++i) {
      if (std::isfinite(want[i])) {
        ASSERT_NEAR(got[i], want[i], 1e-5F * std::max(std::fabs(want[i]), 10.0F)) << i;
      } else {
        ASSERT_EQ(std::isnan(got[i]), std::isnan(want[i])) << i;
        if (!std::isnan(want[i])) {
          ASSERT_EQ(got[i], want[i]) << i;
        }
      }
    }
  }
}

TEST_F(CpuMatrixUnit, NumbersBelowTheNormalOnes) {
  const Tensor a = scaled({64, 128}, 1, [](int64_t i) { return i % 3 == 0 ? 1e-40F : 1e-36F; }), b = numbers({128, 1024}, 2);
  EXPECT_LE(worst_error(values_of(product(a, b)), a, b), 1e-2);
}

}  // namespace
}  // namespace lazuli::cpu
