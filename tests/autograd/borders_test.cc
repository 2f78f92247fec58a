// Checks slopes exactly at the borders where an op's rule changes: finite numbers wherever the limit from one side is finite.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

#include "lazuli/op.h"
#include "support/gradient_check.h"

namespace lazuli {
namespace {

using ::testing::ElementsAre;

const std::vector<int> kFirst{0}, kSecond{1}, kBoth{0, 1};

class Borders : public ::testing::Test {
 protected:
  static LazyTensor row(std::initializer_list<double> v) { return LazyTensor::from_slice<double>(v, {static_cast<int64_t>(v.size())}); }
  static std::vector<double> values(const LazyTensor& x) { return x.eval().to_vector<double>(); }
  static std::vector<double> slope(const LazyTensor& y, const LazyTensor& x) {
    const LazyTensor one = LazyTensor::ones(y.shape(), y.dtype());
    return values(vjp({&y, 1}, {&x, 1}, {&one, 1})[0]);
  }

 private:
  test::OnDevice device_{Device{DeviceKind::reference, 0}};
};

TEST_F(Borders, PowersOfZero) {
  const LazyTensor base = row({0, 0, 0, 0, 2, -2}), exponent = row({0, 1, 2, 0.5, 0, 0});
  EXPECT_THAT(values(pow(base, exponent)), ElementsAre(1, 0, 0, 0, 1, 1));
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_THAT(slope(pow(base, exponent), base), ElementsAre(0, 1, 0, inf, 0, 0));
  const LazyTensor positive = row({0, 0, 0, 2, 1});
  const LazyTensor powers = row({0, 1, 2, 0, 0});
  EXPECT_THAT(slope(pow(positive, powers), powers), ElementsAre(0, 0, 0, std::log(2.0), 0));
  // Below 0 the power of 0 is infinite, and so is its slope.
  const LazyTensor zero = row({0}), negative = row({-1});
  EXPECT_EQ(slope(pow(zero, negative), negative)[0], -inf);
}

TEST_F(Borders, CornersOfUnaryOps) {
  const LazyTensor x = row({-1, 0, 1});
  EXPECT_THAT(slope(abs(x), x), ElementsAre(-1, 0, 1));
  EXPECT_THAT(slope(relu(x), x), ElementsAre(0, 0, 1));
  EXPECT_THAT(slope(sign(x), x), ElementsAre(0, 0, 0));
}

TEST_F(Borders, ClipKeepsTheSlopeAtItsBounds) {
  const LazyTensor x = row({-2, -1, 0, 1, 2});
  EXPECT_THAT(slope(clip(x, -1.0, 1.0), x), ElementsAre(0, 1, 1, 1, 0));
}

TEST_F(Borders, TheBoundThatDecidesHasTheSlope) {
  const LazyTensor x = row({-2, -1, 0, 1, 2});
  const auto of_bounds = [&](double low, double high) {
    const LazyTensor l = LazyTensor::scalar(low, DType::f64), h = LazyTensor::scalar(high, DType::f64);
    const LazyTensor a = LazyTensor::from_tensor(l.eval()), b = LazyTensor::from_tensor(h.eval());
    const auto y = [&] { return record(Op::clip, {x, a, b}); };  // what has been evaluated has no history
    return std::vector<double>{slope(y(), x)[2], slope(y(), a)[0], slope(y(), b)[0]};
  };
  EXPECT_THAT(of_bounds(-1, 1), ElementsAre(1, 1, 1));
  EXPECT_THAT(of_bounds(0, 0), ElementsAre(1, 2, 2)) << "equal bounds: each has the numbers beyond it";
  EXPECT_THAT(of_bounds(1, -1), ElementsAre(0, 0, 5)) << "bounds that cross: the upper one is the result";
}

TEST_F(Borders, EqualOperandsShare) {
  const LazyTensor a = row({1, 2, 3}), b = row({2, 2, 2});
  EXPECT_THAT(slope(maximum(a, b), a), ElementsAre(0, 0.5, 1));
  EXPECT_THAT(slope(maximum(a, b), b), ElementsAre(1, 0.5, 0));
  EXPECT_THAT(slope(minimum(a, b), a), ElementsAre(1, 0.5, 0));
  EXPECT_THAT(slope(minimum(a, b), b), ElementsAre(0, 0.5, 1));
  const LazyTensor x = LazyTensor::from_slice<double>({3, 1, 3, 3, 2, 2}, {2, 3});
  EXPECT_THAT(slope(max(x, kSecond), x), ElementsAre(0.5, 0, 0.5, 1, 0, 0));
  EXPECT_THAT(slope(min(x, kFirst), x), ElementsAre(0.5, 1, 0, 0.5, 0, 1));
  EXPECT_THAT(slope(max(x, kBoth), x), ElementsAre(1.0 / 3, 0, 1.0 / 3, 1.0 / 3, 0, 0));
}

TEST_F(Borders, WhatIsNotTakenHasNoSlopeEvenWhereItIsInfinite) {
  const LazyTensor x = row({0, 4}), positive = greater(x, LazyTensor::zeros({2}, DType::f64));
  // log(0) is taken nowhere; its slope would be infinite.
  EXPECT_THAT(slope(where(positive, log(where(positive, x, LazyTensor::ones({2}, DType::f64))), x), x), ElementsAre(1, 0.25));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const LazyTensor broken = row({nan, 1});
  EXPECT_THAT(slope(where(is_finite(broken), broken * 2.0, LazyTensor::zeros({2}, DType::f64)), broken), ElementsAre(0, 2));
}

TEST_F(Borders, ReductionsOfNothingAndOfOne) {
  const LazyTensor one = LazyTensor::from_slice<double>({5}, {1, 1});
  EXPECT_THAT(slope(mean(one, kSecond), one), ElementsAre(1));
  EXPECT_THAT(slope(var(one, kSecond), one), ElementsAre(0));
  EXPECT_THAT(slope(logsumexp(one, kSecond), one), ElementsAre(1));
  EXPECT_THAT(slope(softmax(one), one), ElementsAre(0));
  const LazyTensor none = LazyTensor::zeros({0, 3}, DType::f64);
  EXPECT_TRUE(slope(sum(none, kFirst), none).empty());
  EXPECT_THAT(values(sum(none, kFirst)), ElementsAre(0, 0, 0));
}

TEST_F(Borders, ProductsWithoutTermsHaveSlopesOfTheirShapes) {
  // A zero dimension first, in the middle and last.
  for (const auto& [m, k, n] : std::vector<std::array<int64_t, 3>>{{0, 2, 3}, {2, 0, 3}, {2, 3, 0}}) {
    const LazyTensor a = LazyTensor::ones({m, k}, DType::f64), b = LazyTensor::ones({k, n}, DType::f64);
    EXPECT_EQ(values(matmul(a, b)), std::vector<double>(static_cast<size_t>(m * n), static_cast<double>(k)));
    EXPECT_EQ(slope(matmul(a, b), a), std::vector<double>(static_cast<size_t>(m * k), static_cast<double>(n)));
    EXPECT_EQ(slope(matmul(a, b), b), std::vector<double>(static_cast<size_t>(k * n), static_cast<double>(m)));
  }
}

}  // namespace
}  // namespace lazuli
