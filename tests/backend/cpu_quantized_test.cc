// Checks products with weights of 8 and 4 bits on the cpu backend where rounding of activations shows.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "conformance/data.h"
#include "conformance/harness.h"
#include "lazuli/op.h"
#include "support/each_target.h"

namespace lazuli::conformance {
namespace {

OpCall call_of(const Tensor& x, int64_t n, int64_t bits) {
  const int64_t k = x.shape().back();
  OpCall call{Op::quantized_linear, {x}, {}};
  call.attrs.i = {bits, 0, 0, 0};
  call.inputs.push_back(bits == 8 ? random(DType::i8, {n, k}, 2, -127, 128) : random(DType::u8, {n, k / 2}, 2, 0, 256));
  call.inputs.push_back(random(DType::f32, {n, bits == 8 ? 1 : k / 32}, 3, 0.001, 0.01));
  return call;
}

Tensor row_of(const Tensor& t, int64_t row) {
  const auto all = t.to_vector<float>();
  const auto n = static_cast<size_t>(t.shape().back());
  const auto first = all.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(row) * n);
  return Tensor::from_vector(std::vector<float>(first, first + static_cast<std::ptrdiff_t>(n)), {1, t.shape().back()});
}

TEST(CpuQuantized, StaysNearTheExactProduct) {
  for (int64_t bits : {8, 4}) {
    const OpCall call = call_of(random(DType::f32, {9, 320}, 1, -1, 1), 50, bits);
    const auto wanted = run(reference_backend(), call)[0].to_vector<double>();
    double size = 0;
    for (const double v : wanted) size += v * v;
    on_every_target([&](const std::string& target) {
      const auto got = run(cpu_backend(), call)[0].to_vector<double>();
      double error = 0;
      for (size_t k = 0; k < got.size(); ++k) error += (got[k] - wanted[k]) * (got[k] - wanted[k]);
      EXPECT_LT(std::sqrt(error / size), 0.01) << bits << " bits on " << target;
    });
  }
}

TEST(CpuQuantized, ARowGivesTheSameAloneAndInABatch) {
  for (int64_t bits : {8, 4}) {
    const OpCall all = call_of(random(DType::f32, {75, 256}, 1, -1, 1), 70, bits);
    const Tensor batch = run(cpu_backend(), all)[0];
    for (int64_t row : {0, 3, 64, 74}) {
      OpCall alone = all;
      alone.inputs[0] = row_of(all.inputs[0], row);
      const Tensor got = run(cpu_backend(), alone)[0], wanted = row_of(batch, row);
      // Groups of 4 bits are added in another order where there are many rows.
      EXPECT_EQ(difference(got, wanted, bits == 8 ? Tolerance{0, 0, 0} : Tolerance{1, 16, 1}), "") << bits << " bits, row " << row;
    }
  }
}

TEST(CpuQuantized, WhatIsNotFiniteSpoilsItsRowAlone) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (int64_t bits : {8, 4}) {
    for (const float bad : {inf, -inf, nan}) {
      auto values = random(DType::f32, {3, 64}, 1, -1, 1).to_vector<float>();
      values[64 + 40] = bad;
      const auto got = run(cpu_backend(), call_of(Tensor::from_vector(values, {3, 64}), 5, bits))[0].to_vector<float>();
      for (size_t k = 0; k < got.size(); ++k) EXPECT_EQ(std::isnan(got[k]), k / 5 == 1) << bits << " bits, element " << k;
    }
  }
}

TEST(CpuQuantized, TinyAndZeroRowsGiveZeros) {
  for (int64_t bits : {8, 4}) {
    auto values = std::vector<float>(128, 0.0F);
    for (size_t k = 64; k < 128; ++k) values[k] = 1e-40F;
    const auto got = run(cpu_backend(), call_of(Tensor::from_vector(values, {2, 64}), 5, bits))[0].to_vector<float>();
    for (const float v : got) EXPECT_NEAR(v, 0, 1e-30F);
  }
}

}  // namespace
}  // namespace lazuli::conformance
