// Checks matrix products of sizes that reach every way of computing them, on every target that the machine has.
#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "conformance/data.h"
#include "conformance/exact.h"
#include "conformance/harness.h"
#include "lazuli/op.h"
#include "support/each_target.h"

namespace lazuli::cpu {
namespace {

using conformance::OpCall;

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
  const std::tuple<int64_t, int64_t, int64_t> sizes[] = {
      {1, 8, 512},  {1, 513, 70}, {3, 40, 300},  {14, 33, 257},  {29, 47, 64},  {131, 77, 530}, {300, 150, 17}, {60, 161, 8},
      {257, 5, 96}, {90, 1, 40},  {49, 49, 513}, {5, 300, 1025}, {400, 24, 33}, {16, 16, 16},   {300, 290, 70}, {300, 150, 1100}};
  on_every_target([&](const std::string& target) {
    SCOPED_TRACE(target);
    for (const auto& [m, n, k] : sizes) {
      for (const bool ta : {false, true}) {
        for (const bool tb : {false, true}) expect_product(DType::f32, m, n, k, ta, tb);
      }
    }
  });
}

TEST(CpuGemm, SixteenBitOperands) {
  on_every_target([](const std::string& target) {
    SCOPED_TRACE(target);
    for (DType dtype : {DType::bf16, DType::f16}) {
      for (const bool ta : {false, true}) {
        for (const bool tb : {false, true}) {
          expect_product(dtype, 70, 99, 290, ta, tb);
          expect_product(dtype, 300, 600, 64, ta, tb);
          expect_product(dtype, 3, 70, 100, ta, tb);
          expect_product(dtype, 120, 9, 64, ta, tb);
        }
      }
    }
  });
}

/// Large enough to be packed in a phase of its own, with everything that may follow the sums.
TEST(CpuGemm, LargeFusedProductsAgreeWithReference) {
  for (DType dtype : {DType::f32, DType::bf16}) {
    const Tensor x = conformance::random(dtype, {2, 130, 200}, 1, -1, 1), w = conformance::random(dtype, {150, 200}, 2, -1, 1);
    const Tensor bias = conformance::random(dtype, {150}, 3, -1, 1), residual = conformance::random(dtype, {2, 130, 150}, 4, -1, 1);
    const Tensor a = conformance::random(dtype, {8, 200}, 5, -1, 1), b = conformance::random(dtype, {150, 8}, 6, -1, 1);
    OpCall linear{Op::linear, {x, w, bias, residual}}, lora{Op::lora_linear, {x, w, a, b, conformance::scalar(DType::f32, 0.5), bias}};
    linear.attrs.i = {1, 3, static_cast<int64_t>(Op::silu), 0};
    lora.attrs.i = {1, 1, 1, 0};
    for (const OpCall& call : {linear, lora}) {
      const Tensor want = conformance::run(reference_backend(), call)[0], got = conformance::run(cpu_backend(), call)[0];
      EXPECT_EQ(conformance::difference(got, want, {8, 64, 1}), "") << name_of(call.op) << " " << name_of(dtype);
      EXPECT_TRUE(conformance::identical(got, conformance::run(cpu_backend(), call, {3})[0]));
    }
  }
}

/// A rank so large that the first of the two products is packed in a phase of its own, too.
TEST(CpuGemm, LowRankProductsOfLargeRankAgreeWithReference) {
  const Tensor x = conformance::random(DType::f32, {300, 260}, 1, -1, 1), w = conformance::random(DType::f32, {260, 200}, 2, -1, 1);
  const Tensor a = conformance::random(DType::f32, {260, 270}, 3, -1, 1), b = conformance::random(DType::f32, {270, 200}, 4, -1, 1);
  const Tensor scale = conformance::scalar(DType::f32, 0.5);
  for (const OpCall& call : {OpCall{Op::lora_fused, {x, a, b, scale}}, OpCall{Op::lora_linear, {x, w, a, b, scale}}}) {
    const Tensor want = conformance::run(reference_backend(), call)[0], got = conformance::run(cpu_backend(), call)[0];
    EXPECT_EQ(conformance::difference(got, want, {8, 512, 1}), "") << name_of(call.op);
  }
}

OpCall lora_call(DType dtype, int64_t m, int64_t n, int64_t k, int64_t rank, bool transposed) {
  const auto numbers = [&](const Shape& shape, uint64_t seed) { return conformance::random(dtype, shape, seed, -1, 1); };
  const Tensor scale = conformance::scalar(DType::f32, 1.5);
  OpCall call{
      Op::lora_linear,
      {numbers({m, k}, 1), numbers(transposed ? Shape{n, k} : Shape{k, n}, 2), numbers({rank, k}, 3), numbers({n, rank}, 4), scale}};
  call.attrs.i = {1, 1, transposed ? 1 : 0, 0};
  return call;
}

void expect_exact(const OpCall& call) {
  const Shape &x = call.inputs[0].shape(), &w = call.inputs[1].shape();
  SCOPED_TRACE(std::string(name_of(call.op)) + " " + std::string(name_of(call.inputs[0].dtype())) + to_string(x) + to_string(w));
  const Tensor got = conformance::run(cpu_backend(), call)[0];
  EXPECT_EQ(conformance::wrong_product(call, got), "");
  for (const int64_t chunks : {2, 7})
    EXPECT_TRUE(conformance::identical(got, conformance::run(cpu_backend(), call, {chunks})[0])) << chunks;
}

/// Of a product whose first term is computed in blocks, only the low-rank part is packed: the panels that are packed ahead are its own.
TEST(CpuGemm, LowRankPartsAreAddedToBlocksOfBf16) {
  const WithEmulated blocks({.bf16_blocks = true});
  for (const bool transposed : {false, true}) {
    expect_exact(lora_call(DType::bf16, 64, 512, 64, 8, transposed));
    expect_exact(lora_call(DType::bf16, 64, 544, 64, 1, transposed));
    expect_exact(lora_call(DType::bf16, 128, 1056, 768, 8, transposed));
    expect_exact(lora_call(DType::bf16, 256, 1024, 300, 40, transposed));
    expect_exact(lora_call(DType::bf16, 257, 544, 96, 300, transposed));
  }
}

/// 300 steps of k are cut into two pieces of 160, 192 are one piece: scratch has room for the longer one.
TEST(CpuGemm, RanksWhosePiecesAreLongerThanThoseOfTheWeight) {
  on_every_target([](const std::string& target) {
    SCOPED_TRACE(target);
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
      for (const bool transposed : {false, true}) {
        expect_exact(lora_call(dtype, 40, 70, 300, 192, transposed));
        expect_exact(lora_call(dtype, 200, 161, 576, 256, transposed));
      }
    }
  });
  for (const Emulated& special : {Emulated{.matrix_unit = true}, Emulated{.bf16_blocks = true}}) {
    const WithEmulated now(special);
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) expect_exact(lora_call(dtype, 200, 192, 300, 192, true));
  }
}

}  // namespace
}  // namespace lazuli::cpu
