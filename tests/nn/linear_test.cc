// Checks linear layers with and without a low-rank part, and LoRALayer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "lazuli/error.h"
#include "lazuli/nn.h"

namespace lazuli {
namespace {

using testing::ElementsAre;

Tensor matrix(std::vector<float> values, int64_t rows, int64_t columns) { return Tensor::from_vector(values, {rows, columns}); }

TEST(Linear, IsXTimesWeightTransposedPlusBias) {
  const Linear layer(matrix({1, 2, 3, 4, 5, 6}, 2, 3), Tensor::from_vector<float>({10, 20}, {2}));
  const LazyTensor x = LazyTensor::from_tensor(matrix({1, 0, 1, 0, 1, 0}, 2, 3));
  EXPECT_THAT(layer.forward(x).eval().to_vector<float>(), ElementsAre(14, 30, 12, 25));
}

TEST(Linear, LowRankPartIsAddedWithItsScale) {
  const Linear layer(matrix({1, 0, 0, 1}, 2, 2), Tensor::from_vector<float>({10, 20}, {2}));
  const LowRank part{LazyTensor::from_tensor(matrix({1, 1}, 1, 2)), LazyTensor::from_tensor(matrix({1, -1}, 2, 1)), 2.0, 0, {}};
  const LazyTensor x = LazyTensor::from_tensor(matrix({3, 4}, 1, 2));
  EXPECT_THAT(layer.forward(x, &part).eval().to_vector<float>(), ElementsAre(3 + 10 + 14, 4 + 20 - 14));
}

TEST(Linear, DropoutChangesOnlyTheLowRankPart) {
  const int64_t n = 64;
  const Linear layer(Tensor::zeros(DType::f32, {1, n}));
  LowRank part{LazyTensor::ones({1, n}), LazyTensor::ones({1, 1}), 1.0, 0.5, LazyTensor::scalar_int(3, DType::i64)};
  const LazyTensor x = LazyTensor::ones({1, n});
  const double dropped = layer.forward(x, &part).eval().item();
  EXPECT_NE(dropped, static_cast<double>(n));
  EXPECT_EQ(std::fmod(dropped, 2.0), 0.0);
  part.seed = LazyTensor();
  EXPECT_EQ(layer.forward(x, &part).eval().item(), static_cast<double>(n));
}

TEST(Linear, ShapesThatDoNotFitAreRefused) {
  EXPECT_THROW(Linear(Tensor::zeros(DType::f32, {3})), ShapeError);
  EXPECT_THROW(Linear(Tensor::zeros(DType::f32, {3, 2}), Tensor::zeros(DType::f32, {2})), ShapeError);
}

TEST(LoRALayer, ANewLayerGivesZeros) {
  const LoRALayer layer(16, 4, 2, 4.0, 7);
  EXPECT_THAT(layer.forward(Tensor::from_vector(std::vector<float>(16, 1.0F), {1, 16})).to_vector<float>(), ElementsAre(0, 0, 0, 0));
  double largest = 0;
  for (float v : layer.a().data<float>()) largest = std::max(largest, static_cast<double>(std::abs(v)));
  EXPECT_LE(largest, 0.25);
  EXPECT_GT(largest, 0.125);
}

TEST(LoRALayer, EagerAndRecordedFormsAgree) {
  const LoRALayer layer(matrix({1, 2, 3, 4}, 2, 2), matrix({1, 0, 0, 1, 1, 1}, 3, 2), 4.0);
  const Tensor x = matrix({1, 1}, 1, 2);
  EXPECT_THAT(layer.forward(x).to_vector<float>(), ElementsAre(6, 14, 20));
  EXPECT_EQ(layer.forward_lazy(LazyTensor::from_tensor(x)).eval().to_vector<float>(), layer.forward(x).to_vector<float>());
}

TEST(LoRALayer, SeedsGiveTheSameFactorsAgain) {
  const auto factor = [](uint64_t seed) { return LoRALayer(8, 8, 2, 4.0, seed).a().to_vector<float>(); };
  EXPECT_EQ(factor(1), factor(1));
  EXPECT_NE(factor(1), factor(2));
  EXPECT_THROW(LoRALayer(8, 8, 0, 4.0), ValueError);
}

}  // namespace
}  // namespace lazuli
