// Checks unit_rows, also where a row has no direction.
#include "nn/unit_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "lazuli/transforms.h"

namespace lazuli {
namespace {

TEST(UnitRows, HaveLengthOneUnlessTheyAreZero) {
  const LazyTensor x = LazyTensor::from_slice<float>({3, 4, 0, 0, -2, 0}, {3, 2});
  EXPECT_THAT(unit_rows(x).eval().to_vector<float>(), testing::Pointwise(testing::FloatNear(1e-6F), {0.6F, 0.8F, 0.F, 0.F, -1.F, 0.F}));
}

TEST(UnitRows, GradientsOfAZeroRowAreFinite) {
  const LazyTensor x = LazyTensor::from_slice<float>({3, 4, 0, 0}, {2, 2});
  const auto f = [](std::span<const LazyTensor> args) { return sum(unit_rows(args[0])); };
  for (float g : grad(f)(std::vector<LazyTensor>{x})[0].eval().to_vector<float>()) EXPECT_TRUE(std::isfinite(g)) << g;
}

}  // namespace
}  // namespace lazuli
