// Checks what the recording functions refuse before any rule is asked, and what they accept just inside: numbers beside integers, shapes
// with a -1, bounds, sizes of parts, ranges.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "graph/node.h"
#include "lazuli/error.h"
#include "lazuli/ops.h"
#include "lazuli/optimizer.h"
#include "support/gradient_check.h"

namespace lazuli {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

constexpr int64_t kLast = std::numeric_limits<int64_t>::max(), kFirst = std::numeric_limits<int64_t>::min();

LazyTensor zeros(const Shape& shape, DType dtype = DType::f32) { return LazyTensor::zeros(shape, dtype); }
std::vector<int64_t> integers(const LazyTensor& x) { return x.eval().to(DType::i64).to_vector<int64_t>(); }

void refuses(const std::function<void()>& call, std::string_view text, int line = __builtin_LINE()) {
  try {
    call();
    ADD_FAILURE_AT(__FILE__, line) << "nothing is refused";
  } catch (const Error& e) {
    if (std::string_view(e.what()).find(text) == std::string_view::npos) ADD_FAILURE_AT(__FILE__, line) << e.what();
  }
}

class OpsRefusals : public ::testing::Test {
 private:
  test::OnDevice device_{Device{DeviceKind::reference, 0}};
};

struct Limits {
  DType dtype;
  int64_t low, high;
  double below, last, above;  ///< the nearest doubles outside, and the largest inside
};
const Limits kLimits[] = {{DType::i8, -128, 127, -129, 127, 128},
                          {DType::u8, 0, 255, -1, 255, 256},
                          {DType::i32, INT32_MIN, INT32_MAX, -0x1p31 - 1, 0x1p31 - 1, 0x1p31},
                          {DType::i64, kFirst, kLast, -0x1p63 - 2048, 0x1p63 - 1024, 0x1p63}};

LazyTensor both_limits(const Limits& l) {
  return LazyTensor::from_tensor(Tensor::from_vector(std::vector<int64_t>{l.low, l.high}, {2}).to(l.dtype));
}

TEST_F(OpsRefusals, NumbersBesideIntegersEndWithTheirDtype) {
  for (const Limits& l : kLimits) {
    SCOPED_TRACE(name_of(l.dtype));
    const LazyTensor zero = zeros({1}, l.dtype);
    EXPECT_THAT(integers(zero + static_cast<double>(l.low)), ElementsAre(l.low));
    EXPECT_THAT(integers(zero + l.last), ElementsAre(static_cast<int64_t>(l.last)));
    EXPECT_EQ((zero + l.last).dtype(), l.dtype);
    for (const double beyond : {l.below, l.above, std::numeric_limits<double>::infinity()}) {
      refuses([&] { zero + beyond; }, " does not fit " + std::string(name_of(l.dtype)));
      refuses([&] { zero* beyond; }, "[mul] ");
    }
  }
  EXPECT_EQ((zeros({1}, DType::i8) + 128.5).dtype(), DType::f32);
  EXPECT_EQ((zeros({1}, DType::i8) + std::nan("")).dtype(), DType::f32);
}

TEST_F(OpsRefusals, BoundsBeyondADtypeAreItsLimits) {
  const double inf = std::numeric_limits<double>::infinity();
  for (const Limits& l : kLimits) {
    SCOPED_TRACE(name_of(l.dtype));
    const LazyTensor x = both_limits(l);
    for (const auto& [low, high] : {std::pair{l.below, l.above}, {-1e300, 1e300}, {-inf, inf}, {static_cast<double>(l.low), l.above}}) {
      const LazyTensor y = clip(x, low, high);
      EXPECT_EQ(y.dtype(), l.dtype);
      EXPECT_THAT(integers(y), ElementsAre(l.low, l.high)) << low << " to " << high;
    }
    EXPECT_THAT(integers(clip(x, l.below, l.last)), ElementsAre(l.low, static_cast<int64_t>(l.last)));
    EXPECT_THAT(integers(clip(x, l.above, l.above)), ElementsAre(l.high, l.high));
    EXPECT_THAT(integers(clip(x, l.below, l.below)), ElementsAre(l.low, l.low));
  }
}

TEST_F(OpsRefusals, ScalarsAreCutToTheNumbersOf64Bits) {
  EXPECT_EQ(integers(LazyTensor::scalar(1e30, DType::i64))[0], 9200000000000000000);
  EXPECT_EQ(integers(LazyTensor::scalar(-1e30, DType::i64))[0], -9200000000000000000);
  EXPECT_EQ(integers(LazyTensor::scalar_int(kFirst, DType::i64))[0], kFirst);
  EXPECT_EQ(integers(LazyTensor::scalar_int(kLast, DType::i64))[0], kLast);
  EXPECT_EQ(integers(LazyTensor::scalar(0.25, DType::boolean))[0], 1);
  EXPECT_EQ(integers(LazyTensor::scalar(0, DType::boolean))[0], 0);
  EXPECT_EQ(integers(LazyTensor::scalar_int(256, DType::boolean))[0], 1);
  EXPECT_EQ(integers(LazyTensor::scalar_int(0, DType::boolean))[0], 0);
  EXPECT_EQ(integers(LazyTensor::scalar_int(-3, DType::f16))[0], -3);
}

TEST_F(OpsRefusals, ScalarArgumentsDecideTheDtypeOfIntegers) {
  const LazyTensor whole = LazyTensor::scalar_int(2, DType::i64), real = LazyTensor::scalar(2, DType::f16);
  EXPECT_EQ(mul_scalar(zeros({2}, DType::boolean), whole).dtype(), DType::i64);
  EXPECT_EQ(mul_scalar(zeros({2}, DType::boolean), LazyTensor::scalar_int(2, DType::i8)).dtype(), DType::i32);
  EXPECT_EQ(mul_scalar(zeros({2}, DType::i8), whole).dtype(), DType::i8);
  EXPECT_EQ(mul_scalar(zeros({2}, DType::i8), real).dtype(), DType::f32);
  EXPECT_EQ(mul_scalar(zeros({2}, DType::i8), LazyTensor::scalar(2, DType::f64)).dtype(), DType::f64);
  EXPECT_EQ(mul_scalar(zeros({2}, DType::bf16), LazyTensor::scalar(2, DType::f64)).dtype(), DType::bf16);
  refuses([] { mul_scalar(zeros({2}), zeros({1})); }, "a scalar argument has shape (1), no dimensions are expected");
}

TEST_F(OpsRefusals, ReshapesWithAnUnknown) {
  EXPECT_EQ(reshape(zeros({2, 6}), {-1, 4}).shape(), Shape({3, 4}));
  EXPECT_EQ(reshape(zeros({0, 6}), {-1, 4}).shape(), Shape({0, 4}));
  EXPECT_EQ(reshape(zeros({}), {-1}).shape(), Shape({1}));
  refuses([] { reshape(zeros({2, 6}), {-1, -1}); }, "[reshape] shape (-1, -1): one dimension may be -1, the others at least 0");
  refuses([] { reshape(zeros({2, 6}), {-2, 6}); }, "[reshape] shape (-2, 6): one dimension may be -1");
  refuses([] { reshape(zeros({2, 6}), {-1, 5}); }, "[reshape] 12 elements of shape (2, 6) do not divide into (-1, 5)");
  refuses([] { reshape(zeros({0, 6}), {-1, 0}); }, "[reshape] 0 elements of shape (0, 6) do not divide into (-1, 0)");
  refuses([] { reshape(zeros({2}), {kLast, 2}); }, "[reshape] shape (9223372036854775807, 2) has too many elements");
}

TEST_F(OpsRefusals, Axes) {
  const LazyTensor x = zeros({2, 3, 4});
  refuses([&] { x.permute({0, 1}); }, "[transpose] 3 axes are expected for shape (2, 3, 4), got 2");
  refuses([&] { x.permute({0, 1, 1}); }, "[transpose] axis 1 is named twice");
  refuses([&] { x.transpose(0, 3); }, "transpose: axis 3 is out of range for 3 dimensions");
  refuses([&] { x.transpose(-4, 0); }, "transpose: axis -4 is out of range for 3 dimensions");
  EXPECT_EQ(x.transpose(-3, 2).shape(), Shape({4, 3, 2}));
  refuses([&] { squeeze(x, 0); }, "[squeeze] axis 0 of shape (2, 3, 4) is not 1");
  EXPECT_EQ(squeeze(zeros({2, 1, 4}), -2).shape(), Shape({2, 4}));
  EXPECT_EQ(unsqueeze(x, 3).shape(), Shape({2, 3, 4, 1}));
  EXPECT_EQ(unsqueeze(x, -4).shape(), Shape({1, 2, 3, 4}));
  refuses([&] { unsqueeze(x, 4); }, "unsqueeze: axis 4 is out of range for 4 dimensions");
  refuses([] { unsqueeze(zeros({1, 1, 1, 1, 1, 1, 1, 1}), 0); }, "at most 8 dimensions expected, got 9");
  refuses([&] { max(x, {1, -2}); }, "[max] axis -2 is named twice");
  EXPECT_EQ(sum(zeros({1, 1, 1, 1, 1, 1, 1, 3})).shape(), Shape());
}

TEST_F(OpsRefusals, Slices) {
  const LazyTensor x = arange(0, 5);
  const int64_t one[] = {1}, four[] = {4}, two[] = {2}, pair[] = {1, 1};
  EXPECT_THAT(integers(slice(x, one, four, two)), ElementsAre(1, 3));
  refuses([&] { slice(x, pair, four, {}); }, "[slice] 1 starts, stops and steps are expected for shape (5), got 2, 1 and 0");
  refuses([&] { slice(x, one, pair, {}); }, "[slice] 1 starts, stops and steps are expected for shape (5), got 1, 2 and 0");
  refuses([&] { slice(x, one, four, pair); }, "[slice] 1 starts, stops and steps are expected for shape (5), got 1, 1 and 2");
  refuses([&] { slice(x, 0, 0, 5, -1); }, "[slice] axis 0: a step of at least 1 is expected, got -1");
  EXPECT_THAT(integers(slice(x, 0, kFirst, kLast)), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(integers(slice(x, 0, -1, kLast)), ElementsAre(4));
  EXPECT_THAT(integers(slice(x, 0, 0, kLast, kLast)), ElementsAre(0));
  EXPECT_THAT(integers(slice(x, 0, 0, -4)), ElementsAre(0));
  EXPECT_EQ(slice(x, 0, 3, 3).shape(), Shape({0}));
  EXPECT_EQ(slice(x, 0, 0, -5).shape(), Shape({0}));
}

TEST_F(OpsRefusals, Parts) {
  const LazyTensor x = zeros({2, 6});
  refuses([&] { split(x, 0, 1); }, "[split] axis 1 of shape (2, 6) does not divide into 0 parts");
  refuses([&] { split(x, 4, 1); }, "[split] axis 1 of shape (2, 6) does not divide into 4 parts");
  EXPECT_EQ(split(x, 1, 1).size(), 1U);
  const auto sizes = [&](std::vector<int64_t> s) { return split(x, s, 1); };
  EXPECT_EQ(sizes({0, 6})[0].shape(), Shape({2, 0}));
  refuses([&] { sizes({-1, 7}); }, "[split] sizes -1, 7 do not fit axis 1 of shape (2, 6)");
  refuses([&] { sizes({5, 2}); }, "[split] sizes 5, 2 do not fit axis 1 of shape (2, 6)");
  refuses([&] { sizes({5, kLast}); }, "do not fit axis 1 of shape (2, 6)");
  refuses([&] { sizes({5}); }, "[split] sizes 5 do not fill axis 1 of shape (2, 6)");
  refuses([] { concat({}, 0); }, "[concat] at least one part is expected");
  EXPECT_EQ(concat({x}, -1).node(), x.node());
  refuses([&] { concat({x}, 2); }, "concat: axis 2 is out of range for 2 dimensions");
  EXPECT_EQ(concat({zeros({2}, DType::i8), zeros({1}, DType::bf16)}, 0).dtype(), DType::bf16);
}

TEST_F(OpsRefusals, PaddingAndUpdates) {
  const LazyTensor x = arange(0, 3);
  const int64_t none[] = {0}, one[] = {1}, pair[] = {0, 0}, last[] = {-1};
  EXPECT_EQ(pad(x, none, none, 7.0).node(), x.node());
  EXPECT_THAT(integers(pad(x, none, one, 7.0)), ElementsAre(0, 1, 2, 7));
  EXPECT_THAT(integers(pad(x, one, none, 7.0)), ElementsAre(7, 0, 1, 2));
  refuses([&] { pad(x, pair, none, 0.0); }, "[pad] 1 entries of low and high are expected for shape (3), got 2 and 1");
  refuses([&] { pad(x, none, pair, 0.0); }, "[pad] 1 entries of low and high are expected for shape (3), got 1 and 2");
  EXPECT_THAT(integers(slice_update(x, LazyTensor::full({1}, 9, DType::i32), last)), ElementsAre(0, 1, 9));
  EXPECT_THAT(integers(slice_update(x, LazyTensor::full({2}, 9, DType::i32), none, std::vector<int64_t>{2})), ElementsAre(9, 1, 9));
  refuses([&] { slice_update(x, x, pair); }, "[slice_update] 1 starts and steps are expected for shape (3), got 2 and 0");
  refuses([&] { slice_update(x, x, none, pair); }, "[slice_update] 1 starts and steps are expected for shape (3), got 1 and 2");
  refuses([&] { embedding(x, x); }, "[embedding] a table (rows, size) is expected, got shape (3)");
}

TEST_F(OpsRefusals, Ranges) {
  EXPECT_THAT(integers(arange(0, 9, 3)), ElementsAre(0, 3, 6));
  EXPECT_THAT(integers(arange(0, 10, 3)), ElementsAre(0, 3, 6, 9));
  EXPECT_THAT(integers(arange(0, -3, -1)), ElementsAre(0, -1, -2));
  EXPECT_EQ(arange(5, 5).shape(), Shape({0}));
  EXPECT_EQ(arange(5, 4).shape(), Shape({0}));
  EXPECT_EQ(arange(4, 5, -1).shape(), Shape({0}));
  EXPECT_THAT(integers(arange(kLast - 1, kLast, 1, DType::i64)), ElementsAre(kLast - 1));
  refuses([] { arange(0, 5, 0); }, "[arange] a step other than 0 is expected");
  refuses([] { arange(0, -5, kFirst); }, "[arange] the range is too long");
  refuses([] { arange(-1, kLast); }, "[arange] the range is too long");
  refuses([] { arange(1, kFirst, -1); }, "[arange] the range is too long");
}

TEST_F(OpsRefusals, Probabilities) {
  const LazyTensor x = zeros({2}), seed = LazyTensor::scalar_int(1);
  EXPECT_EQ(dropout(x, 0.0, seed).node(), x.node());
  EXPECT_EQ(dropout(x, std::nextafter(1.0, 0.0), seed).shape(), Shape({2}));
  for (const double p : {1.0, -0.001, std::nan("")}) {
    refuses([&] { dropout(x, p, seed); }, "[dropout] a probability in [0, 1) is expected, got ");
  }
}

TEST_F(OpsRefusals, ProductsOfVectorsIgnoreTheirTurns) {
  const LazyTensor v = LazyTensor::from_slice<float>({1, 2}, {2}), m = LazyTensor::from_slice<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  EXPECT_THAT(matmul(v, m, true, false).eval().to_vector<float>(), ElementsAre(9, 12, 15));
  EXPECT_THAT(matmul(m, v, true, true).eval().to_vector<float>(), ElementsAre(9, 12, 15));
  EXPECT_THAT(matmul(v, v, true, true).eval().to_vector<float>(), ElementsAre(5));
  refuses([&] { matmul(m, zeros({})); }, "[matmul] shapes (2, 3) and (): at least 1 dimension is expected");
  EXPECT_EQ(matmul(zeros({2, 2}, DType::boolean), zeros({2, 2}, DType::boolean)).dtype(), DType::i32);
}

TEST_F(OpsRefusals, EmptyHandles) {
  refuses([] { LazyTensor::from_tensor({}); }, "from_tensor: the Tensor is empty");
  refuses([] { exp(LazyTensor()); }, "this LazyTensor is empty");
  refuses([] { LazyTensor().eval(); }, "this LazyTensor is empty");
  refuses([] { LazyTensor::full({-1}, 0); }, "full: dimensions must be at least 0, got (-1)");
}

/// Each value has three dimensions of its own.
std::vector<LazyTensor> of_different_dims(int64_t count) {
  std::vector<LazyTensor> values;
  for (int64_t d = 2; d < count + 2; d += 3) values.push_back(zeros({d, d + 1, d + 2}));
  return values;
}

TEST_F(OpsRefusals, AGraphHasAtMost65535DifferentDimensions) {
  std::vector<LazyTensor> values = of_different_dims(65535);
  EXPECT_EQ(capture(values).size(), values.size());
  values.push_back(zeros({1, 2, 65536}));  // known all of them
  EXPECT_EQ(capture(values).size(), values.size());
  values.push_back(zeros({65537}));
  refuses([&] { capture(values); }, "a graph with more than 65535 different dimensions");
}

}  // namespace
}  // namespace lazuli
