// Checks how attributes are named and written, op by op and kind by kind.
#include "graph/attr_names.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>

#include "lazuli/op.h"

namespace lazuli {
namespace {

std::string text_of(Op op, std::array<int64_t, 4> ints, const Shape& result = {2, 3, 4}) {
  GraphNode n;
  n.op = op;
  n.attrs.i = ints;
  n.outputs = {{DType::f32, result}};
  std::string text;
  for (const auto& [name, value] : describe_attrs(n)) {
    text += (text.empty() ? "" : " ") + name + (value.empty() ? "" : "=" + value);
  }
  return text;
}

TEST(AttrNames, AreThoseOfTheTable) {
  const std::pair<const char*, const char*> named[] = {
      {"input", "index=1 donated"},
      {"scalar", "index=1"},
      {"full", "value=5e-324"},
      {"arange", "start=1 step=2"},
      {"cast", "dtype=bf16"},
      {"transpose", "axes=[1,0,0]"},
      {"checkpoint", "arguments=1"},
      {"sum", "axes=[0] keepdims"},
      {"mean", "axes=[0] keepdims"},
      {"max", "axes=[0] keepdims"},
      {"min", "axes=[0] keepdims"},
      {"logsumexp", "axes=[0] keepdims"},
      {"var", "axes=[0] keepdims correction=3"},
      {"argmax", "axes=[0] keepdims"},
      {"matmul", "transpose_a transpose_b"},
      {"softmax", "axis=1"},
      {"log_softmax", "axis=1"},
      {"softmax_backward", "axis=1"},
      {"group_norm", "groups=1"},
      {"gather", "axis=1"},
      {"take_along", "axis=1"},
      {"scatter_add", "axis=1"},
      {"scatter_along_add", "axis=1"},
      {"concat", "axis=1"},
      {"slice_update", "offset_axis=1"},
      {"slice_at", "axis=1"},
      {"one_hot", "classes=1 dtype=f16"},
      {"sort", "axis=1 descending"},
      {"topk", "axis=1 descending k=3"},
      {"rope", "back"},
      {"sdpa", "causal window_left=1 window_right=2 with=sinks"},
      {"sdpa_backward", "causal window_left=1 window_right=2 with=sinks"},
      {"sdpa_packed", "causal window_left=1 window_right=2"},
      {"cross_entropy", "ignore_index=1"},
      {"cross_entropy_backward", "ignore_index=1"},
      {"linear_cross_entropy", "ignore_index=1 transpose_w softcap"},
      {"dequantize", "group=1 dtype=f16 format=q4_0"},
      {"lora_fused", "transpose_a transpose_b"},
      {"lora_linear", "transpose_a transpose_b transpose_w"},
      {"linear", "transpose_w with=residual activation=full"},
      {"quantized_linear", "format=int8 with=residual activation=full"},
      {"gated_linear", "transpose_w activation=full"},
      {"rope_pair", "back"},
      {"scaled_softmax", "axis=1"},
  };
  for (const auto& [op, text] : named) EXPECT_EQ(text_of(parse_op(op), {1, 2, 3, 4}), text) << op;
  for (const Op op : {Op::constant, Op::add, Op::silu, Op::rms_norm, Op::adamw}) EXPECT_EQ(text_of(op, {1, 2, 3, 4}), "") << name_of(op);
}

TEST(AttrNames, DtypesAreNamedAndOtherNumbersAreNot) {
  for (int k = 0; k < kDTypeCount; ++k) {
    EXPECT_EQ(text_of(Op::cast, {k}), "dtype=" + std::string(name_of(static_cast<DType>(k))));
  }
  EXPECT_EQ(text_of(Op::cast, {-1}), "dtype=-1");
  EXPECT_EQ(text_of(Op::cast, {kDTypeCount}), "dtype=9");
}

TEST(AttrNames, ActivationsAreNamedAndNoneIsLeftOut) {
  EXPECT_EQ(text_of(Op::linear, {0, 0, 0}), "");
  EXPECT_EQ(text_of(Op::linear, {0, 0, static_cast<int64_t>(Op::gelu)}), "activation=gelu");
  EXPECT_EQ(text_of(Op::linear, {0, 0, 1}), "activation=scalar");
  EXPECT_EQ(text_of(Op::linear, {0, 0, kOpCount - 1}), "activation=fused_elementwise");
  EXPECT_EQ(text_of(Op::linear, {0, 0, kOpCount}), fmt::format("activation={}", kOpCount));
  EXPECT_EQ(text_of(Op::linear, {0, 0, -1}), "activation=-1");
}

TEST(AttrNames, PartsFlagsAndNumbers) {
  EXPECT_EQ(text_of(Op::linear, {0, 1}), "with=bias");
  EXPECT_EQ(text_of(Op::linear, {0, 2}), "with=residual");
  EXPECT_EQ(text_of(Op::linear, {0, 3}), "with=bias,residual");
  EXPECT_EQ(text_of(Op::matmul, {}), "");
  EXPECT_EQ(text_of(Op::matmul, {0, 1}), "transpose_b");
  EXPECT_EQ(text_of(Op::gather, {0}), "axis=0");
  EXPECT_EQ(text_of(Op::cross_entropy, {-100}), "ignore_index=-100");
  EXPECT_EQ(text_of(Op::full, {std::bit_cast<int64_t>(-2.5)}), "value=-2.5");
}

TEST(AttrNames, AxesAndPermutationsAreLists) {
  EXPECT_EQ(text_of(Op::sum, {0}), "axes=[]");
  EXPECT_EQ(text_of(Op::sum, {0x85}), "axes=[0,2,7]");
  EXPECT_EQ(text_of(Op::transpose, {0x102}), "axes=[2,0,1]");
  EXPECT_EQ(text_of(Op::transpose, {0x01234567}, {1, 1, 1, 1, 1, 1, 1, 1}), "axes=[7,6,5,4,3,2,1,0]");
  GraphNode open;
  open.op = Op::transpose;
  EXPECT_EQ(describe_attrs(open).at(0).second, "[]");
}

TEST(AttrNames, AListComesLast) {
  GraphNode n;
  n.op = Op::slice_update;
  n.attrs.list = IntList({1, 0, -1, 2});
  const auto found = describe_attrs(n);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[1], (std::pair<std::string, std::string>("list", "[1,0,-1,2]")));
}

}  // namespace
}  // namespace lazuli
