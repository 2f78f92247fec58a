// Tests of Tensor: construction, views, strided copies and conversions.
#include "lazuli/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

namespace lazuli {
namespace {

Tensor iota(const Shape& shape) {
  std::vector<int32_t> values(static_cast<size_t>(shape.numel()));
  std::iota(values.begin(), values.end(), 0);
  return Tensor::from_vector(values, shape);
}

TEST(Tensor, HoldsWhatItWasMadeFrom) {
  const Tensor t = Tensor::from_vector<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  EXPECT_EQ(t.dtype(), DType::f32);
  EXPECT_EQ(t.dim(-1), 3);
  EXPECT_EQ(t.nbytes(), 24U);
  EXPECT_EQ(t.data<float>()[4], 5.0F);
  EXPECT_THROW(Tensor::from_vector<float>({1, 2}, {3}), ShapeError);
  EXPECT_EQ(Tensor::zeros(DType::i64, {2, 2}).to_vector<int64_t>(), (std::vector<int64_t>{0, 0, 0, 0}));
}

TEST(Tensor, RefusesReadsThatDoNotFit) {
  const Tensor t = iota({2, 3});
  EXPECT_THROW(t.data<float>(), DTypeError);
  const Tensor turned(DType::i32, {3, 2}, {1, 3}, t.buffer(), 0);
  EXPECT_THROW(turned.data<int32_t>(), ShapeError);
  EXPECT_THROW(t.item(), ShapeError);
  EXPECT_THROW(Tensor().data<float>(), ValueError);
  EXPECT_THROW(Tensor::empty(DType::f32, {1}, {DeviceKind::cuda, 0}), DeviceError);
  EXPECT_THROW(Tensor::empty(DType::f32, {-1}), ShapeError);
}

TEST(Tensor, RefusesViewsOutsideTheBuffer) {
  const BufferRef buffer = allocate_buffer(64);
  EXPECT_NO_THROW(Tensor(DType::f32, {16}, buffer));
  EXPECT_THROW(Tensor(DType::f32, {17}, buffer), ShapeError);
  EXPECT_THROW(Tensor(DType::f32, {16}, buffer, 4), ShapeError);
  EXPECT_THROW(Tensor(DType::f32, {1}, buffer, 2), ValueError);
  EXPECT_THROW(Tensor(DType::f32, {1}, buffer, size_t{1} << 63), ShapeError);
  EXPECT_THROW(Tensor(DType::f32, {2}, {16}, buffer, 0), ShapeError);
  EXPECT_THROW(Tensor(DType::f32, {2}, {-1}, buffer, 0), ShapeError);
  EXPECT_NO_THROW(Tensor(DType::f32, {2}, {-1}, buffer, 4));
  EXPECT_THROW(Tensor(DType::f32, {3}, {std::numeric_limits<int64_t>::max()}, buffer, 0), ShapeError);
  EXPECT_THROW(Tensor(DType::f32, {2}, {1, 1}, buffer, 0), ShapeError);
  EXPECT_NO_THROW(Tensor(DType::f32, {1000}, {0}, buffer, 0));
}

TEST(Tensor, KnowsWhenItIsRowMajor) {
  const BufferRef buffer = allocate_buffer(256);
  EXPECT_TRUE(Tensor(DType::f32, {2, 1, 3}, {3, 99, 1}, buffer, 0).is_contiguous());
  EXPECT_TRUE(Tensor(DType::f32, {0, 5}, {1, 1}, buffer, 0).is_contiguous());
  EXPECT_FALSE(Tensor(DType::f32, {2, 3}, {1, 2}, buffer, 0).is_contiguous());
  EXPECT_FALSE(Tensor(DType::f32, {4}, {0}, buffer, 0).is_contiguous());
}

TEST(Tensor, ReshapeSharesDataWhenRowMajorAndCopiesOtherwise) {
  const Tensor t = iota({2, 6});
  const Tensor view = t.reshape({3, 4});
  EXPECT_EQ(view.raw(), t.raw());
  EXPECT_THROW(t.reshape({5}), ShapeError);
  const Tensor turned(DType::i32, {6, 2}, {1, 6}, t.buffer(), 0);
  const Tensor copy = turned.reshape({12});
  EXPECT_NE(copy.raw(), t.raw());
  EXPECT_EQ(copy.to_vector<int32_t>(), (std::vector<int32_t>{0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11}));
}

/// The strided elements read one by one.
std::vector<int32_t> walk(const Tensor& t) {
  std::vector<int32_t> out;
  const auto* base = static_cast<const int32_t*>(t.raw());
  for (int64_t i = 0; i < t.numel(); ++i) {
    int64_t rest = i;
    int64_t offset = 0;
    for (int axis = t.rank() - 1; axis >= 0; --axis) {
      offset += rest % t.dim(axis) * t.strides()[axis];
      rest /= t.dim(axis);
    }
    out.push_back(base[offset]);
  }
  return out;
}

TEST(Tensor, ContiguousCopiesEveryStridePattern) {
  const Tensor t = iota({7, 40, 45});
  const BufferRef& b = t.buffer();
  const std::vector<Tensor> views = {
      Tensor(DType::i32, {45, 40, 7}, {1, 45, 1800}, b, 0),  // reversed axes
      Tensor(DType::i32, {7, 45, 40}, {1800, 1, 45}, b, 0),  // last two turned
      Tensor(DType::i32, {40, 7, 45}, {45, 1800, 1}, b, 0),  // first two turned
      Tensor(DType::i32, {7, 20, 9}, {1800, 90, 5}, b, 12),  // steps
      Tensor(DType::i32, {3, 40, 45}, {0, 45, 1}, b, 0),     // repeats outside
      Tensor(DType::i32, {40, 45, 3}, {45, 1, 0}, b, 0),     // repeats inside
      Tensor(DType::i32, {5}, {-2}, b, 80),                  // backwards
      Tensor(DType::i32, {2, 1, 3, 1, 5}, {900, 3, 45, 8, 2}, b, 0),
      Tensor(DType::i32, {0, 3}, {1, 7}, b, 0),
      Tensor(DType::i32, {}, {}, b, 8),
  };
  for (const Tensor& view : views) {
    const Tensor c = view.contiguous();
    EXPECT_TRUE(c.is_contiguous());
    EXPECT_EQ(c.to_vector<int32_t>(), walk(view)) << to_string(view.shape()) << to_string(view.strides());
    EXPECT_EQ(view.to(DType::i64).to(DType::i32).to_vector<int32_t>(), walk(view));
  }
}

TEST(Tensor, ContiguousWorksForEveryElementSize) {
  for (DType d : {DType::u8, DType::bf16, DType::f32, DType::f64}) {
    const Tensor t = iota({3, 5}).to(d);
    const Tensor turned(d, {5, 3}, {1, 5}, t.buffer(), 0);
    EXPECT_EQ(turned.contiguous().to_vector<int32_t>(), (std::vector<int32_t>{0, 5, 10, 1, 6, 11, 2, 7, 12, 3, 8, 13, 4, 9, 14}));
  }
}

TEST(Tensor, ConvertsBetweenAllDTypes) {
  const Tensor t = Tensor::from_vector<int32_t>({0, 1, 2, 100}, {4});
  for (int i = 0; i < kDTypeCount; ++i) {
    for (int j = 0; j < kDTypeCount; ++j) {
      const auto a = static_cast<DType>(i);
      const auto b = static_cast<DType>(j);
      const bool truth = a == DType::boolean || b == DType::boolean;
      EXPECT_EQ(t.to(a).to(b).to_vector<int32_t>(), truth ? (std::vector<int32_t>{0, 1, 1, 1}) : (std::vector<int32_t>{0, 1, 2, 100}))
          << name_of(a) << " to " << name_of(b);
    }
  }
}

TEST(Tensor, FloatToIntegerClampsAndTruncates) {
  const float inf = std::numeric_limits<float>::infinity();
  const Tensor t = Tensor::from_vector<float>({1.9F, -1.9F, 300.0F, -300.0F, 1e30F, -inf, std::nanf(""), -128.5F}, {8});
  EXPECT_EQ(t.to_vector<int8_t>(), (std::vector<int8_t>{1, -1, 127, -128, 127, -128, 0, -128}));
  EXPECT_EQ(t.to_vector<uint8_t>(), (std::vector<uint8_t>{1, 0, 255, 0, 255, 0, 0, 0}));
  const auto wide = t.to_vector<int64_t>();
  EXPECT_EQ(wide[4], std::numeric_limits<int64_t>::max());
  EXPECT_EQ(wide[5], std::numeric_limits<int64_t>::min());
  EXPECT_EQ(Tensor::from_vector<float>({2147483648.0F}, {1}).to_vector<int32_t>()[0], std::numeric_limits<int32_t>::max());
  EXPECT_TRUE(t.to(DType::boolean).to_vector<bool>()[6]);
}

TEST(Tensor, ItemReadsTheOnlyElement) {
  EXPECT_EQ(Tensor::from_vector<float>({2.5F}, {1, 1}).item(), 2.5);
  EXPECT_EQ(Tensor::from_vector<uint8_t>({200}, Shape{}).item(), 200.0);
}

TEST(Tensor, EmptyTensorsWork) {
  const Tensor t = Tensor::empty(DType::f32, {0, 3});
  EXPECT_TRUE(t.defined());
  EXPECT_EQ(t.data<float>().size(), 0U);
  EXPECT_TRUE(t.to(DType::i8).to_vector<int8_t>().empty());
  EXPECT_EQ(t.reshape({3, 0}).numel(), 0);
}

TEST(Tensor, CopiesShareTheBuffer) {
  Tensor a = iota({4});
  EXPECT_TRUE(a.buffer()->unique());
  Tensor b = a;
  EXPECT_FALSE(a.buffer()->unique());
  b.mutable_data<int32_t>()[0] = 9;
  EXPECT_EQ(a.data<int32_t>()[0], 9);
  Tensor copy = a.to(DType::i32);
  EXPECT_NE(copy.raw(), a.raw());
}

}  // namespace
}  // namespace lazuli
