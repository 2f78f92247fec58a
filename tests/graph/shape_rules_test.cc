// Checks the shape and dtype rules: results, and errors that name the op and what was expected.
#include "graph/shape_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lazuli/error.h"
#include "lazuli/op.h"

namespace lazuli {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TensorSpec f32(const Shape& s) { return {DType::f32, s}; }
TensorSpec i32(const Shape& s) { return {DType::i32, s}; }
TensorSpec boolean(const Shape& s) { return {DType::boolean, s}; }

Attrs ints(std::initializer_list<int64_t> values, std::vector<int64_t> list = {}) {
  Attrs attrs;
  std::copy(values.begin(), values.end(), attrs.i.begin());
  if (!list.empty()) attrs.list = IntList(std::move(list));
  return attrs;
}

std::vector<TensorSpec> run(Op op, std::vector<TensorSpec> inputs, const Attrs& attrs = {}, const TensorSpec* target = nullptr) {
  return infer({op, attrs, {}}, inputs, target);
}
TensorSpec one(Op op, std::vector<TensorSpec> inputs, const Attrs& attrs = {}, const TensorSpec* target = nullptr) {
  return run(op, std::move(inputs), attrs, target).at(0);
}

template <class E>
void expect_error(const std::string& text, Op op, std::vector<TensorSpec> inputs, const Attrs& attrs = {},
                  const TensorSpec* target = nullptr) {
  EXPECT_THAT([&] { run(op, inputs, attrs, target); }, ThrowsMessage<E>(HasSubstr(text))) << name_of(op);
}

TEST(OpTable, NamesFindTheirOps) {
  for (int k = 0; k < kOpCount; ++k) EXPECT_EQ(parse_op(name_of(static_cast<Op>(k))), static_cast<Op>(k));
  EXPECT_THROW(parse_op("convolve"), ValueError);
}

TEST(OpTable, OperandCountsAreChecked) {
  expect_error<GraphError>("[add] 2 operands are expected, got 1", Op::add, {f32({2})});
  expect_error<GraphError>("[sdpa] 5 to 10 operands are expected", Op::sdpa, {f32({2})});
  expect_error<GraphError>("[concat] at least 1 operands are expected", Op::concat, {});
}

TEST(ShapeRules, ElementwiseOpsBroadcast) {
  EXPECT_EQ(one(Op::add, {f32({2, 1}), f32({3})}), f32({2, 3}));
  EXPECT_EQ(one(Op::add, {f32({2, 0}), f32({1, 1})}), f32({2, 0}));
  EXPECT_EQ(one(Op::less, {i32({4}), i32({})}), boolean({4}));
  EXPECT_EQ(one(Op::where, {boolean({3, 1}), f32({2}), f32({})}), f32({3, 2}));
  expect_error<ShapeError>("[mul] shapes (2, 3) and (4, 3) do not broadcast", Op::mul, {f32({2, 3}), f32({4, 3})});
  expect_error<DTypeError>("[mul] operand 1 is i32 where f32", Op::mul, {f32({2}), i32({2})});
  expect_error<DTypeError>("[exp] operand 0: a float dtype is expected, got i32", Op::exp, {i32({2})});
  expect_error<DTypeError>("[where] condition: bool", Op::where, {f32({2}), f32({2}), f32({2})});
}

TEST(ShapeRules, TheFastRuleAgreesWithTheGeneralOne) {
  const TensorSpec shapes[] = {f32({2, 3}), f32({}), i32({2, 3}), i32({}), boolean({2, 3}), boolean({})};
  for (int k = 0; k < kOpCount; ++k) {
    const Op op = static_cast<Op>(k);
    if (info(op).cls != OpClass::unary && info(op).cls != OpClass::binary) continue;
    for (const TensorSpec& a : shapes) {
      for (const TensorSpec& b : shapes) {
        TensorSpec fast;
        if (!shape_rules::infer_fast(op, a, b, fast)) continue;
        const auto general = info(op).cls == OpClass::unary ? one(op, {a}) : one(op, {a, b});
        EXPECT_EQ(fast, general) << name_of(op);
      }
    }
  }
}

TEST(ShapeRules, ViewsCheckTheirTarget) {
  const TensorSpec six = f32({6}), eight = f32({8}), wide = f32({4, 2, 3});
  EXPECT_EQ(one(Op::reshape, {f32({2, 3})}, {}, &six), six);
  expect_error<ShapeError>("[reshape] shape (2, 3) cannot become (8)", Op::reshape, {f32({2, 3})}, {}, &eight);
  expect_error<ValueError>("[reshape] the dtype and shape", Op::reshape, {f32({2, 3})});
  EXPECT_EQ(one(Op::expand, {f32({2, 1})}, {}, &wide), wide);
  expect_error<ShapeError>("[expand] shape (5) does not broadcast to (8)", Op::expand, {f32({5})}, {}, &eight);
  EXPECT_EQ(one(Op::transpose, {f32({2, 3, 4})}, ints({0x102})), f32({4, 2, 3}));
  expect_error<ValueError>("[transpose] axis 0 is named twice", Op::transpose, {f32({2, 3})}, ints({0x00}));
}

TEST(ShapeRules, SlicesStayInside) {
  const TensorSpec two = f32({2});
  EXPECT_EQ(one(Op::slice, {f32({5})}, ints({}, {1, 3}), &two), two);
  expect_error<ShapeError>("[slice] axis 0: 2 elements from 2 on with step 3", Op::slice, {f32({5})}, ints({}, {2, 3}), &two);
  expect_error<ValueError>("[slice] 2 list entries", Op::slice, {f32({5})}, ints({}, {1}), &two);
  EXPECT_EQ(one(Op::slice_update, {f32({5}), two, i32({})}, ints({0}, {1, 2})), f32({5}));
  expect_error<ShapeError>("[slice_update]", Op::slice_update, {f32({5}), f32({3}), i32({})}, ints({0}, {1, 2}));
}

TEST(ShapeRules, ReductionsFoldAxes) {
  EXPECT_EQ(one(Op::sum, {f32({2, 3, 4})}, ints({0b101, 0})), f32({3}));
  EXPECT_EQ(one(Op::mean, {f32({2, 3, 4})}, ints({0b101, 1})), f32({1, 3, 1}));
  EXPECT_EQ(one(Op::argmax, {f32({2, 3})}, ints({0b10})), i32({2}));
  EXPECT_EQ(one(Op::sum, {f32({0, 3})}, ints({0b01})), f32({3}));
  expect_error<ShapeError>("[max] shape (0, 3) has no elements", Op::max, {f32({0, 3})}, ints({0b01}));
  expect_error<ShapeError>("[sum] axes 0x4 are out of range for 2 dimensions", Op::sum, {f32({2, 3})}, ints({0b100}));
  expect_error<ValueError>("[argmax] one axis", Op::argmax, {f32({2, 3})}, ints({0b11}));
}

TEST(ShapeRules, MatrixProducts) {
  EXPECT_EQ(one(Op::matmul, {f32({5, 1, 2, 3}), f32({4, 3, 6})}), f32({5, 4, 2, 6}));
  EXPECT_EQ(one(Op::matmul, {f32({3, 2}), f32({6, 3})}, ints({1, 1})), f32({2, 6}));
  expect_error<ShapeError>("[matmul] shapes (2, 3) and (4, 5): inner dimensions differ", Op::matmul, {f32({2, 3}), f32({4, 5})});
  expect_error<ShapeError>("[matmul] a: at least 2 dimensions", Op::matmul, {f32({3}), f32({3, 5})});
  EXPECT_EQ(one(Op::lora_fused, {f32({2, 7, 3}), f32({3, 2}), f32({2, 5}), f32({})}), f32({2, 7, 5}));
  EXPECT_EQ(one(Op::lora_linear, {f32({7, 3}), f32({5, 3}), f32({2, 3}), f32({5, 2}), f32({}), f32({5})}, ints({1, 1, 1})), f32({7, 5}));
  expect_error<ShapeError>("[lora_fused] x (7, 3) and a (4, 2): inner dimensions differ, 3 and 4", Op::lora_fused,
                           {f32({7, 3}), f32({4, 2}), f32({2, 5}), f32({})});
}

TEST(ShapeRules, AttentionAndRope) {
  const std::vector<TensorSpec> operands{f32({2, 4, 3, 8}), f32({2, 2, 5, 8}), f32({2, 2, 5, 6}), f32({}), i32({})};
  const auto out = run(Op::sdpa, operands);
  EXPECT_EQ(out[0], f32({2, 4, 3, 6}));
  EXPECT_EQ(out[1], f32({2, 4, 3}));
  auto bad = operands;
  bad[0] = f32({2, 3, 3, 8});
  expect_error<ShapeError>("heads of q are not a multiple", Op::sdpa, bad);
  bad = operands;
  bad.push_back(boolean({3, 4}));
  Attrs masked;
  masked.i[3] = 1;
  expect_error<ShapeError>("mask (3, 4) does not broadcast to (batch, heads, nq, nk) = (2, 4, 3, 5)", Op::sdpa, bad, masked);
  EXPECT_EQ(one(Op::rope, {f32({2, 3, 8}), f32({9, 4}), f32({9, 4}), i32({})}), f32({2, 3, 8}));
  expect_error<ShapeError>("[rope] tables (2, 4) do not fit x (2, 3, 8)", Op::rope, {f32({2, 3, 8}), f32({2, 4}), f32({2, 4}), i32({})});
}

TEST(ShapeRules, GathersAndMoves) {
  EXPECT_EQ(one(Op::gather, {f32({4, 5, 6}), i32({2, 3})}, ints({1})), f32({4, 2, 3, 6}));
  EXPECT_EQ(one(Op::concat, {f32({2, 3}), f32({2, 0}), f32({2, 4})}, ints({1})), f32({2, 7}));
  EXPECT_EQ(one(Op::pad, {f32({2, 3}), f32({})}, ints({}, {1, 0, 0, 2})), f32({3, 5}));
  EXPECT_EQ(run(Op::topk, {f32({2, 5})}, ints({1, 1, 3}))[1], i32({2, 3}));
  expect_error<DTypeError>("[gather] indices: i32 or i64", Op::gather, {f32({4}), f32({2})}, ints({0}));
  expect_error<ShapeError>("[concat] part: shape (3, 3) differs from (2, 3) outside axis 1", Op::concat, {f32({2, 3}), f32({3, 3})},
                           ints({1}));
  expect_error<ValueError>("[topk] k must be in 0..5, got 6", Op::topk, {f32({2, 5})}, ints({1, 1, 6}));
}

TEST(ShapeRules, RowOps) {
  EXPECT_EQ(one(Op::rms_norm, {f32({2, 4}), f32({4}), f32({})}), f32({2, 4}));
  expect_error<ShapeError>("[rms_norm] weight: shape (4) is expected, got (5)", Op::rms_norm, {f32({2, 4}), f32({5}), f32({})});
  expect_error<ValueError>("[group_norm] 4 channels do not divide into 3 groups", Op::group_norm,
                           {f32({2, 4, 6}), f32({4}), f32({4}), f32({})}, ints({3}));
  const auto loss = run(Op::cross_entropy, {{DType::bf16, {2, 3, 9}}, i32({2, 3}), f32({})}, ints({-100}));
  EXPECT_EQ(loss[0], f32({2, 3}));
  EXPECT_EQ(loss[1], f32({2, 3}));
}

TEST(ShapeRules, ElementCountsThatOverflowAreRefused) {
  const int64_t big = int64_t{1} << 40;
  EXPECT_THROW(run(Op::add, {f32({big, 1}), f32({1, big})}), ShapeError);
  const TensorSpec huge = f32({big, big});
  EXPECT_THROW(run(Op::full, {}, {}, &huge), ShapeError);
  EXPECT_THROW(run(Op::matmul, {f32({big, 1}), f32({1, big})}), ShapeError);
}

}  // namespace
}  // namespace lazuli
