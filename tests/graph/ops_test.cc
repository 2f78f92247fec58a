// Checks what the recording functions add to the rules: promotion, weak scalars, negative axes, trivial views, donation.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "graph/node.h"
#include "lazuli/error.h"
#include "support/gradient_check.h"

namespace lazuli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

LazyTensor zeros(const Shape& shape, DType dtype = DType::f32) { return LazyTensor::zeros(shape, dtype); }

class Ops : public ::testing::Test {
 private:
  test::OnDevice device_{Device{DeviceKind::reference, 0}};
};

TEST_F(Ops, OperandsArePromoted) {
  EXPECT_EQ((zeros({2}, DType::bf16) + zeros({2}, DType::f16)).dtype(), DType::f32);
  EXPECT_EQ((zeros({2}, DType::i32) + zeros({2}, DType::bf16)).dtype(), DType::bf16);
  EXPECT_EQ((zeros({2}, DType::boolean) + zeros({2}, DType::boolean)).dtype(), DType::i32);
  EXPECT_EQ((zeros({2}, DType::i32) / zeros({2}, DType::i32)).dtype(), DType::f32);
  EXPECT_EQ(exp(zeros({2}, DType::i64)).dtype(), DType::f32);
  EXPECT_EQ(sum(zeros({2}, DType::u8)).dtype(), DType::i32);
  EXPECT_EQ(matmul(zeros({2, 3}, DType::bf16), zeros({3, 2})).dtype(), DType::f32);
}

TEST_F(Ops, PlainNumbersKeepTheDtypeThatCanHoldThem) {
  EXPECT_EQ((zeros({2}, DType::bf16) * 2.5).dtype(), DType::bf16);
  EXPECT_EQ((zeros({2}, DType::i32) * 2.0).dtype(), DType::i32);
  EXPECT_EQ((zeros({2}, DType::i32) * 2.5).dtype(), DType::f32);
  EXPECT_EQ((zeros({2}, DType::boolean) + 1.0).dtype(), DType::i32);
  EXPECT_THROW(zeros({2}, DType::i8) + 300.0, ValueError);
  EXPECT_EQ(clip(zeros({2}, DType::i8), -1e9, 1e9).dtype(), DType::i8);
  EXPECT_THAT((1.0 - LazyTensor::from_slice<int32_t>({3, 5}, {2})).eval().to_vector<int32_t>(), ElementsAre(-2, -4));
}

TEST_F(Ops, NumbersThatAnIntegerDtypeHasNotAreRefused) {
  const LazyTensor bytes = LazyTensor::from_tensor(Tensor::from_vector<uint8_t>({1, 200}, {2}));
  EXPECT_THAT((bytes - 1.0).eval().to_vector<uint8_t>(), ElementsAre(0, 199));
  EXPECT_THAT((255.0 - bytes).eval().to_vector<uint8_t>(), ElementsAre(254, 55));
  EXPECT_EQ((bytes - 0.5).dtype(), DType::f32);
  EXPECT_THAT([&] { return bytes - 256.0; }, ThrowsMessage<ValueError>(HasSubstr("[sub] 256 does not fit u8")));
  EXPECT_THAT([&] { return 256.0 - bytes; }, ThrowsMessage<ValueError>(HasSubstr("[sub] 256 does not fit u8")));
  EXPECT_THAT([&] { return bytes + -1.0; }, ThrowsMessage<ValueError>(HasSubstr("[add] -1 does not fit u8")));
  const LazyTensor small = zeros({2}, DType::i8);
  EXPECT_THAT((small - -128.0).dtype(), DType::i8);
  EXPECT_THROW(small - -129.0, ValueError);
  const int64_t one[] = {1};
  EXPECT_THAT(pad(bytes, one, one, 255.0).eval().to_vector<uint8_t>(), ElementsAre(255, 1, 200, 255));
  for (const double odd : {256.0, -1.0, 0.5, HUGE_VAL, -HUGE_VAL, std::nan("")}) {
    EXPECT_THAT([&] { return pad(bytes, one, one, odd); }, ThrowsMessage<ValueError>(HasSubstr("does not fit u8"))) << odd;
  }
  EXPECT_EQ(pad(zeros({2}), one, one, 0.5).eval().to_vector<float>().front(), 0.5F);
}

TEST_F(Ops, ViewsThatChangeNothingAreTheirOperand) {
  const LazyTensor x = zeros({2, 3});
  EXPECT_EQ(reshape(x, {-1, 3}).node(), x.node());
  EXPECT_EQ(expand(x, {2, 3}).node(), x.node());
  EXPECT_EQ(slice(x, 0, 0, 99).node(), x.node());
  EXPECT_EQ(x.permute({0, 1}).node(), x.node());
  EXPECT_EQ(cast(x, DType::f32).node(), x.node());
}

TEST_F(Ops, AxesMayBeNegativeAndOnlyOnce) {
  const LazyTensor x = zeros({2, 3, 4});
  EXPECT_EQ(sum(x, {-1, 0}).shape(), Shape({3}));
  EXPECT_THROW(sum(x, {-1, 2}), ValueError);
  EXPECT_THROW(sum(x, {3}), ShapeError);
  EXPECT_EQ(x.transpose(0, -1).shape(), Shape({4, 3, 2}));
  EXPECT_EQ(unsqueeze(x, -1).shape(), Shape({2, 3, 4, 1}));
  EXPECT_EQ(sum(zeros({})).shape(), Shape());
}

TEST_F(Ops, SlicesFollowNumPy) {
  const LazyTensor x = arange(0, 10);
  EXPECT_THAT(slice(x, 0, -3, 99).eval().to_vector<int32_t>(), ElementsAre(7, 8, 9));
  EXPECT_THAT(slice(x, 0, 1, 8, 3).eval().to_vector<int32_t>(), ElementsAre(1, 4, 7));
  EXPECT_EQ(slice(x, 0, 5, 2).shape(), Shape({0}));
  EXPECT_THROW(slice(x, 0, 0, 5, 0), ValueError);
  EXPECT_THAT(arange(5, 0, -2).eval().to_vector<int32_t>(), ElementsAre(5, 3, 1));
}

TEST_F(Ops, SplitGivesParts) {
  const auto parts = split(arange(0, 6), 3);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_THAT(parts[2].eval().to_vector<int32_t>(), ElementsAre(4, 5));
  EXPECT_THROW(split(arange(0, 5), 2), ShapeError);
  const int64_t sizes[] = {1, 5};
  EXPECT_EQ(split(arange(0, 6), sizes)[1].shape(), Shape({5}));
}

TEST_F(Ops, ProductsOfVectors) {
  EXPECT_EQ(matmul(zeros({3}), zeros({3})).shape(), Shape());
  EXPECT_EQ(matmul(zeros({3}), zeros({4, 3, 2})).shape(), Shape({4, 2}));
  EXPECT_EQ(matmul(zeros({4, 2, 3}), zeros({3})).shape(), Shape({4, 2}));
  EXPECT_THROW(matmul(zeros({}), zeros({3})), ShapeError);
}

TEST_F(Ops, ADonatedHandleIsEmpty) {
  LazyTensor x = zeros({4});
  const int64_t starts[] = {1};
  const LazyTensor y = slice_update(std::move(x), LazyTensor::ones({2}), starts);
  EXPECT_FALSE(x.defined());  // NOLINT(bugprone-use-after-move): emptied by contract
  EXPECT_THROW(x + 1.0, GraphError);
  EXPECT_THAT(y.eval().to_vector<float>(), ElementsAre(0, 1, 1, 0));
}

TEST_F(Ops, CrossEntropyAveragesOverCountedRows) {
  const LazyTensor logits = zeros({2, 2, 4});
  const LazyTensor targets = LazyTensor::from_slice<int32_t>({0, -100, 3, -100}, {2, 2});
  EXPECT_NEAR(cross_entropy(logits, targets).eval().item(), std::log(4.0), 1e-6);
  EXPECT_NEAR(cross_entropy(logits, targets, {.reduction = Reduction::sum}).eval().item(), 2 * std::log(4.0), 1e-6);
  EXPECT_EQ(cross_entropy(logits, LazyTensor::full({2, 2}, -100, DType::i32)).eval().item(), 0);
}

TEST_F(Ops, ErrorsNameTheOp) {
  EXPECT_THAT(
      [] {
        matmul(zeros({2, 3}), zeros({4, 5}));
      },
      ThrowsMessage<ShapeError>("[matmul] shapes (2, 3) and (4, 5): inner dimensions differ"));
  EXPECT_THAT([] { reshape(zeros({6}), {4, -1}); }, ThrowsMessage<ShapeError>(HasSubstr("[reshape]")));
  EXPECT_THAT([] { dropout(zeros({6}), 1.5, LazyTensor::scalar_int(1)); }, ThrowsMessage<ValueError>(HasSubstr("[dropout]")));
}

}  // namespace
}  // namespace lazuli
