// Checks products with quantised weights on the cpu backend where rounding of activations shows.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "conformance/data.h"
#include "conformance/harness.h"
#include "lazuli/op.h"
#include "support/each_target.h"

namespace lazuli::conformance {
namespace {

OpCall call_of(const Tensor& x, int64_t n, QuantFormatId id) {
  OpCall call{Op::quantized_linear, {x}, {}};
  call.attrs.i = {static_cast<int64_t>(id), 0, 0, 0};
  for (Tensor& part : random_parts(quant_format(id), n, x.shape().back(), DType::f32, 2)) call.inputs.push_back(std::move(part));
  return call;
}

Tensor row_of(const Tensor& t, int64_t row) {
  const auto all = t.to_vector<float>();
  const auto n = static_cast<size_t>(t.shape().back());
  const auto first = all.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(row) * n);
  return Tensor::from_vector(std::vector<float>(first, first + static_cast<std::ptrdiff_t>(n)), {1, t.shape().back()});
}

TEST(CpuQuantized, StaysNearTheExactProduct) {
  for (const QuantFormatId id : formats_with_kernels()) {
    const OpCall call = call_of(random(DType::f32, {9, 768}, 1, -1, 1), 50, id);
    const auto wanted = run(reference_backend(), call)[0].to_vector<double>();
    double size = 0;
    for (const double v : wanted) size += v * v;
    on_every_target([&](const std::string& target) {
      const auto got = run(cpu_backend(), call)[0].to_vector<double>();
      double error = 0;
      for (size_t k = 0; k < got.size(); ++k) error += (got[k] - wanted[k]) * (got[k] - wanted[k]);
      EXPECT_LT(std::sqrt(error / size), 0.01) << name_of(id) << " on " << target;
    });
  }
}

TEST(CpuQuantized, ARowGivesTheSameAloneAndInABatch) {
  for (const QuantFormatId id : formats_with_kernels()) {
    const OpCall all = call_of(random(DType::f32, {75, 256}, 1, -1, 1), 70, id);
    const Tensor batch = run(cpu_backend(), all)[0];
    for (int64_t row : {0, 3, 64, 74}) {
      OpCall alone = all;
      alone.inputs[0] = row_of(all.inputs[0], row);
      const Tensor got = run(cpu_backend(), alone)[0], wanted = row_of(batch, row);
      // Groups of 4 bits are added in another order where there are many rows.
      EXPECT_EQ(difference(got, wanted, id == QuantFormatId::int8 ? Tolerance{0, 0, 0} : Tolerance{1, 16, 1}), "")
          << name_of(id) << ", row " << row;
    }
  }
}

TEST(CpuQuantized, WhatIsNotFiniteSpoilsItsRowAlone) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const QuantFormatId id : formats_with_kernels()) {
    for (const float bad : {inf, -inf, nan}) {
      auto values = random(DType::f32, {3, 256}, 1, -1, 1).to_vector<float>();
      values[256 + 40] = bad;
      const auto got = run(cpu_backend(), call_of(Tensor::from_vector(values, {3, 256}), 5, id))[0].to_vector<float>();
      for (size_t k = 0; k < got.size(); ++k) EXPECT_EQ(std::isnan(got[k]), k / 5 == 1) << name_of(id) << ", element " << k;
    }
  }
}

TEST(CpuQuantized, TinyAndZeroRowsGiveZeros) {
  for (const QuantFormatId id : formats_with_kernels()) {
    auto values = std::vector<float>(512, 0.0F);
    for (size_t k = 256; k < 512; ++k) values[k] = 1e-40F;
    const auto got = run(cpu_backend(), call_of(Tensor::from_vector(values, {2, 256}), 5, id))[0].to_vector<float>();
    for (const float v : got) EXPECT_NEAR(v, 0, 1e-30F);
  }
}

}  // namespace
}  // namespace lazuli::conformance
