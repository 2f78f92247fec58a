// Tests of shapes, strides, axes and broadcasting.
#include "lazuli/shape.h"

#include <gtest/gtest.h>

#include "lazuli/error.h"
#include "lazuli/tensor.h"

namespace lazuli {
namespace {

TEST(Shape, RefusesMoreThanEightDimensions) {
  EXPECT_EQ((Shape{1, 1, 1, 1, 1, 1, 1, 2}).numel(), 2);
  EXPECT_THROW((Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}), ShapeError);
  Shape s{1, 1, 1, 1, 1, 1, 1, 1};
  EXPECT_THROW(s.push_back(1), ShapeError);
  EXPECT_THROW(s.resize(9), ShapeError);
}

TEST(Shape, CheckRefusesNegativeAndOverflowingDimensions) {
  EXPECT_THROW((Shape{2, -1}).check("test", 4), ShapeError);
  EXPECT_THROW((Shape{int64_t{1} << 40, int64_t{1} << 22}).check("test", 4), ShapeError);
  EXPECT_THROW((Shape{int64_t{1} << 40, int64_t{1} << 40, 0}).check("test", 4), ShapeError);
  EXPECT_NO_THROW((Shape{int64_t{1} << 40, 0}).check("test", 4));
}

TEST(Shape, PrintsAndComparesItsDimensions) {
  EXPECT_EQ(to_string(Shape{2, 3}), "(2, 3)");
  EXPECT_EQ(to_string(Shape{}), "()");
  EXPECT_EQ((Shape{2, 3}), (Shape{2, 3}));
  EXPECT_FALSE((Shape{2, 3}) == (Shape{2, 3, 1}));
}

TEST(Shape, ContiguousStridesAreRowMajor) {
  EXPECT_EQ(contiguous_strides(Shape{2, 3, 4}), (Strides{12, 4, 1}));
  EXPECT_EQ(contiguous_strides(Shape{}), Strides{});
}

TEST(Shape, NormalizesNegativeAxes) {
  EXPECT_EQ(normalize_axis("test", -1, 3), 2);
  EXPECT_EQ(normalize_axis("test", 0, 3), 0);
  EXPECT_THROW(normalize_axis("test", 3, 3), ShapeError);
  EXPECT_THROW(normalize_axis("test", -4, 3), ShapeError);
  EXPECT_THROW(normalize_axis("test", 0, 0), ShapeError);
}

TEST(Shape, BroadcastsLikeNumPy) {
  EXPECT_EQ(broadcast_shapes("test", Shape{2, 1, 4}, Shape{3, 1}), (Shape{2, 3, 4}));
  EXPECT_EQ(broadcast_shapes("test", Shape{}, Shape{5}), (Shape{5}));
  EXPECT_EQ(broadcast_shapes("test", Shape{0}, Shape{1}), (Shape{0}));
  EXPECT_THROW(broadcast_shapes("test", Shape{0}, Shape{2}), ShapeError);
  try {
    broadcast_shapes("add", Shape{2, 3}, Shape{4});
    FAIL();
  } catch (const ShapeError& e) {
    EXPECT_NE(std::string(e.what()).find("add: shapes (2, 3) and (4)"), std::string::npos) << e.what();
  }
}

TEST(Device, ParsesWhatItPrints) {
  for (const char* text : {"cpu", "reference", "cuda:0", "cuda:12"}) EXPECT_EQ(to_string(parse_device(text)), text);
  EXPECT_EQ(parse_device("cuda"), (Device{DeviceKind::cuda, 0}));
  for (const char* text : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:99999999999", "cpu:0"}) {
    EXPECT_THROW(parse_device(text), ValueError) << text;
  }
}

}  // namespace
}  // namespace lazuli
