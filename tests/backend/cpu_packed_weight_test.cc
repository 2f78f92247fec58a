// Checks that products over kept panels give the bits that they give without, and when panels are kept.
#include <gtest/gtest.h>

#include <functional>
#include <thread>
#include <vector>

#include "backend/cpu/gemm/packed_weight.h"
#include "conformance/data.h"
#include "conformance/harness.h"
#include "lazuli/lazy_tensor.h"
#include "lazuli/op.h"
#include "lazuli/ops.h"
#include "lazuli/transforms.h"
#include "lazuli/weights.h"
#include "support/cpu_settings.h"
#include "support/each_target.h"

namespace lazuli::cpu {
namespace {

using conformance::OpCall;

Tensor numbers(const Shape& shape, uint64_t seed) { return conformance::random(DType::f32, shape, seed, -1, 1); }
Tensor copy_of(const Tensor& t) { return Tensor::from_vector(t.to_vector<float>(), t.shape()); }

PackedWeight* entry(const Tensor& w) { return PackedWeight::find(w.raw(), w.dim(0), w.dim(1)); }

OpCall product(const Tensor& x, const Tensor& w, bool transposed) {
  OpCall call{Op::matmul, {x, w}};
  call.attrs.i = {0, transposed ? 1 : 0, 0, 0};
  return call;
}

/// Products on a matrix unit read the weight itself.
class CpuPackedWeight : public testing::Test {
  WithoutMatrixUnit off_;
};

/// Products of a few rows more than it takes, until all panels are kept.
void fill(const Tensor& w, bool transposed) {
  const Tensor x = numbers({600, w.dim(transposed ? 1 : 0)}, 9);
  for (int k = 0; k < 4; ++k) conformance::run(cpu_backend(), product(x, w, transposed));
  ASSERT_TRUE(entry(w)->complete());
  ASSERT_EQ(entry(w)->by(), transposed ? PackedWeight::By::rows : PackedWeight::By::columns);
}

/// The op over `plain` weights and over kept ones, whose panels were made by a product with them transposed or not.
void expect_same_bits(const std::function<OpCall(const Tensor&)>& op, const Tensor& plain) {
  const auto want = conformance::run(cpu_backend(), op(plain));
  for (const bool transposed : {false, true}) {
    SCOPED_TRACE(transposed ? "panels of rows" : "panels of columns");
    const Tensor w = keep_packed(copy_of(plain));
    ASSERT_NE(entry(w), nullptr);
    fill(w, transposed);
    for (const int64_t chunks : {1, 5}) {
      const auto got = conformance::run(cpu_backend(), op(w), {chunks});
      for (size_t k = 0; k < want.size(); ++k) EXPECT_TRUE(conformance::identical(got[k], want[k])) << k << " in " << chunks;
    }
  }
}

struct Sizes {
  int64_t m, n, k;
};
constexpr Sizes kSizes[] = {{40, 512, 512}, {300, 290, 420}, {129, 161, 555}, {700, 200, 310}, {1300, 333, 128}};

TEST_F(CpuPackedWeight, ProductsKeepTheirBits) {
  on_every_target([](const std::string& target) {
    SCOPED_TRACE(target);
    for (const Sizes& s : kSizes) {
      SCOPED_TRACE(to_string(Shape{s.m, s.n, s.k}));
      const Tensor x = numbers({s.m, s.k}, 1);
      expect_same_bits([&](const Tensor& w) { return product(x, w, true); }, numbers({s.n, s.k}, 2));
      expect_same_bits([&](const Tensor& w) { return product(x, w, false); }, numbers({s.k, s.n}, 2));
    }
  });
}

TEST_F(CpuPackedWeight, WhatIsAddedToProductsStays) {
  const Tensor x = numbers({200, 310}, 1), bias = numbers({405}, 3), residual = numbers({200, 405}, 4);
  for (const bool transposed : {false, true}) {
    SCOPED_TRACE(transposed);
    const Tensor plain = numbers(transposed ? Shape{405, 310} : Shape{310, 405}, 2);
    expect_same_bits(
        [&](const Tensor& w) {
          OpCall call{Op::linear, {x, w, bias, residual}};
          call.attrs.i = {transposed ? 1 : 0, 3, static_cast<int64_t>(Op::gelu), 0};
          return call;
        },
        plain);
  }
}

TEST_F(CpuPackedWeight, LowRankPartsAreAddedToBothWays) {
  const Tensor x = numbers({150, 310}, 1), scale = Tensor::from_vector(std::vector<float>{1.5F}, {});
  for (const bool transposed : {false, true}) {
    SCOPED_TRACE(transposed);
    const Tensor plain = numbers(transposed ? Shape{400, 310} : Shape{310, 400}, 2);
    const Tensor a = numbers({310, 8}, 3), b = numbers({8, 400}, 4);
    expect_same_bits(
        [&](const Tensor& w) {
          OpCall call{Op::lora_linear, {x, w, a, b, scale}};
          call.attrs.i = {0, 0, transposed ? 1 : 0, 0};
          return call;
        },
        plain);
  }
}

TEST_F(CpuPackedWeight, GatedProducts) {
  const Tensor x = numbers({150, 310}, 1), up = numbers({400, 310}, 3);
  expect_same_bits(
      [&](const Tensor& w) {
        OpCall call{Op::gated_linear, {x, w, up}};
        call.attrs.i = {1, 0, static_cast<int64_t>(Op::silu), 0};
        return call;
      },
      numbers({400, 310}, 2));
}

TEST_F(CpuPackedWeight, CrossEntropyAndItsGradient) {
  for (const int64_t rows : {300, 560}) {
    SCOPED_TRACE(rows);
    const Tensor x = numbers({rows, 97}, 1), smoothing = Tensor::from_vector(std::vector<float>{0.1F}, {});
    std::vector<int32_t> targets(static_cast<size_t>(rows));
    for (size_t k = 0; k < targets.size(); ++k) targets[k] = static_cast<int32_t>(k * 37 % 3001);
    expect_same_bits(
        [&](const Tensor& w) {
          OpCall call{Op::linear_cross_entropy, {x, w, Tensor::from_vector(targets, {rows}), smoothing}};
          call.attrs.i = {-100, 1, 0, 0};
          return call;
        },
        numbers({3001, 97}, 2));
  }
}

TEST_F(CpuPackedWeight, LossesAloneFillThePanelsOfAWeightThatTheyTakeTransposed) {
  const Tensor x = numbers({512, 96}, 1), smoothing = Tensor::from_vector(std::vector<float>{0.1F}, {});
  const Tensor targets = Tensor::from_vector(std::vector<int32_t>(512, 7), {512});
  const auto run = [&](const Tensor& w, bool transposed) {
    OpCall call{Op::linear_cross_entropy, {x, w, targets, smoothing}};
    call.attrs.i = {-100, transposed ? 1 : 0, 0, 0};
    return conformance::run(cpu_backend(), call);
  };
  const Tensor plain = numbers({1000, 96}, 2), w = keep_packed(copy_of(plain)), other = keep_packed(numbers({96, 1000}, 3));
  const auto want = run(plain, true);
  for (int k = 0; k < 6; ++k) {
    const auto got = run(w, true);
    for (size_t j = 0; j < want.size(); ++j) EXPECT_TRUE(conformance::identical(got[j], want[j])) << k;
    run(other, false);
  }
  EXPECT_EQ(entry(w)->by(), PackedWeight::By::rows);
  EXPECT_TRUE(entry(w)->complete());
  EXPECT_EQ(entry(other)->by(), PackedWeight::By::nothing) << "its columns are the classes";
}

TEST_F(CpuPackedWeight, PanelsAreKeptAfterSomeRows) {
  const Tensor x = numbers({512, 300}, 1), w = keep_packed(numbers({256, 300}, 2));
  const PackedWeight* weight = entry(w);
  ASSERT_NE(weight, nullptr);
  for (int k = 0; k < 2; ++k) {
    conformance::run(cpu_backend(), product(x, w, true));
    EXPECT_EQ(weight->by(), PackedWeight::By::nothing);
  }
  // What is packed in a phase of its own is decided in the run before.
  for (int k = 0; k < 2; ++k) conformance::run(cpu_backend(), product(x, w, true));
  EXPECT_TRUE(weight->complete());
}

TEST_F(CpuPackedWeight, AllPanelsAreFilledInOneRun) {
  const WithThreads threads(3);
  const Tensor x = numbers({256, 512}, 1), w = keep_packed(numbers({2048, 512}, 2));
  for (int k = 0; k < 8; ++k) {
    matmul(LazyTensor::from_tensor(x), LazyTensor::from_tensor(w), false, true).eval();
    EXPECT_EQ(entry(w)->complete(), entry(w)->by() != PackedWeight::By::nothing);
  }
  EXPECT_TRUE(entry(w)->complete());
}

TEST_F(CpuPackedWeight, OnlyMatricesOfFloatsOnTheHostAreKept) {
  const Tensor half = numbers({256, 256}, 1).to(DType::bf16), small = numbers({8, 8}, 1), row = numbers({65536}, 1);
  for (const Tensor& t : {half, small, row}) EXPECT_EQ(keep_packed(t).buffer().get(), t.buffer().get());
}

TEST_F(CpuPackedWeight, TheWeightLeavesWithItsTensor) {
  Tensor values = numbers({256, 256}, 1);
  const void* at = values.raw();
  {
    const Tensor w = keep_packed(values);
    EXPECT_EQ(w.raw(), at);
    EXPECT_NE(entry(w), nullptr);
    EXPECT_EQ(keep_packed(values).buffer().get(), values.buffer().get()) << "one entry for one place";
  }
  EXPECT_EQ(PackedWeight::find(at, 256, 256), nullptr);
  EXPECT_EQ(values.to_vector<float>(), numbers({256, 256}, 1).to_vector<float>());
}

TEST_F(CpuPackedWeight, ManyComeAndGo) {
  std::vector<Tensor> values, kept(200);
  for (size_t k = 0; k < 200; ++k) values.push_back(Tensor::zeros(DType::f32, {256, 128}));
  for (size_t round = 0; round < 20; ++round) {
    for (size_t k = 0; k < 200; ++k) {
      if ((k * 7 + round * 3) % 5 < 2) {
        kept[k] = {};
      } else if (!kept[k].defined()) {
        kept[k] = keep_packed(values[k]);
      }
    }
    for (size_t k = 0; k < 200; ++k) EXPECT_EQ(entry(values[k]) != nullptr, kept[k].defined());
  }
}

TEST_F(CpuPackedWeight, NoResultTakesItsMemory) {
  const Tensor x = numbers({256, 256}, 1);
  LazyTensor w = LazyTensor::from_tensor(keep_packed(numbers({256, 256}, 2)));
  const Tensor watched = w.eval();
  const auto before = watched.to_vector<float>();
  LazyTensor y = w + LazyTensor::from_tensor(x);
  w = {};
  y.eval();
  EXPECT_EQ(watched.to_vector<float>(), before);
}

TEST_F(CpuPackedWeight, RunsOfSeveralThreadsShareOne) {
  const Tensor x = numbers({200, 512}, 1), plain = numbers({512, 512}, 2), w = keep_packed(copy_of(plain));
  const auto step = [&](const Tensor& weight) {
    const LazyTensor a = LazyTensor::from_tensor(x), b = LazyTensor::from_tensor(weight);
    return matmul(matmul(a, b, false, true), b).eval();
  };
  const Tensor want = step(plain);
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int k = 0; k < 6; ++k) EXPECT_TRUE(conformance::identical(step(w), want));
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_TRUE(entry(w)->complete());
}

TEST_F(CpuPackedWeight, TheRunsThatFillPanelsGiveTheSameBits) {
  const WithThreads threads(3);
  const Tensor x = numbers({300, 256}, 1), plain = numbers({9000, 256}, 2);
  std::vector<int32_t> ids(300);
  for (size_t k = 0; k < ids.size(); ++k) ids[k] = static_cast<int32_t>(k * 299 % 9000);
  const LazyTensor targets = LazyTensor::from_tensor(Tensor::from_vector(ids, {300}));
  // The gradient's product reads panels that the same run may complete.
  const auto step = [&](const Tensor& weight) {
    const LazyTensor w = LazyTensor::from_tensor(weight), hidden = LazyTensor::from_tensor(x);
    const auto loss = [&](std::span<const LazyTensor> a) { return cross_entropy(matmul(a[0], w, false, true), targets); };
    const ValueAndGrad r = value_and_grad(loss, {0})(std::span(&hidden, 1));
    return r.grads[0].eval();
  };
  const Tensor want = step(plain);
  for (int round = 0; round < 3; ++round) {
    const Tensor w = keep_packed(copy_of(plain));
    for (int k = 0; k < 7; ++k) EXPECT_TRUE(conformance::identical(step(w), want)) << k;
    EXPECT_TRUE(entry(w)->complete());
  }
}

}  // namespace
}  // namespace lazuli::cpu
