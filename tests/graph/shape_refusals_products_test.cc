// Checks what the shape rules of products, rotations and attention refuse, and what stands just inside.
#include "graph/attention_operands.h"
#include "lazuli/op.h"
#include "support/shape_call.h"

namespace lazuli::test {
namespace {

using Call = ShapeCall;

TEST(ShapeRefusals, MatrixProducts) {
  const Call c(Op::matmul, {i32({7, 2, 3}), i32({7, 3, 4})});
  gives(c, {i32({7, 2, 4})});
  gives(c.i(0, 1).in(0, i32({7, 3, 2})), {i32({7, 2, 4})});
  refuses(c.in(0, boolean({2, 3})), "[matmul] operand 0: a numeric dtype is expected, got bool");
  refuses(c.in(1, f32({3, 4})), "[matmul] operand 1 is f32 where i32");
  refuses(c.in(1, i32({3})), "[matmul] b: at least 2 dimensions are expected, got shape (3)");
  refuses(c.in(1, i32({5, 3, 4})), "[matmul] shapes (7) and (5) do not broadcast");
  refuses(c.i(0, 1), "[matmul] shapes (7, 2, 3) (transposed) and (7, 3, 4): inner dimensions differ");
  refuses(c.i(1, 1), "[matmul] shapes (7, 2, 3) and (7, 3, 4) (transposed): inner dimensions differ");
  gives(Call(Op::matmul, {f32({2, 0}), f32({0, 4})}), {f32({2, 4})});
}

TEST(ShapeRefusals, LowRankProducts) {
  const TensorSpec x = f32({5, 3}), one = f32({});
  const Call fused(Op::lora_fused, {x, f32({3, 2}), f32({2, 7}), one});
  gives(fused, {f32({5, 7})});
  gives(fused.i(0, 1).in(1, f32({2, 3})), {f32({5, 7})});
  gives(fused.i(1, 1).in(2, f32({7, 2})), {f32({5, 7})});
  gives(fused.in(0, f32({3})), {f32({7})});
  refuses(fused.in(0, f32({})), "[lora_fused] x: at least 1 dimensions are expected, got shape ()");
  refuses(fused.in(0, i32({5, 3})), "[lora_fused] operand 0: a float dtype is expected, got i32");
  refuses(fused.in(1, f64({3, 2})), "[lora_fused] operand 1 is f64 where f32");
  refuses(fused.in(2, f64({2, 7})), "[lora_fused] operand 2 is f64 where f32");
  refuses(fused.in(1, f32({1, 3, 2})), "[lora_fused] a: 2 dimensions are expected, got shape (1, 3, 2)");
  refuses(fused.in(2, f32({3, 7})), "[lora_fused] x (5, 3) and b (3, 7): inner dimensions differ, 2 and 3");
  refuses(fused.i(0, 1), "[lora_fused] x (5, 3) and a (3, 2) (transposed): inner dimensions differ, 3 and 2");
  refuses(fused.in(3, f16({})), "[lora_fused] scale: f32 or f64 is expected, got f16");
  const Call linear(Op::lora_linear, {x, f32({3, 7}), f32({3, 2}), f32({2, 7}), one});
  gives(linear, {f32({5, 7})});
  gives(linear.i(2, 1).in(1, f32({7, 3})), {f32({5, 7})});
  gives(linear.more(f32({7})), {f32({5, 7})});
  refuses(linear.more(f32({5})), "[lora_linear] bias: shape (7) is expected, got (5)");
  refuses(linear.more(f16({7})), "[lora_linear] operand 5 is f16 where f32");
  refuses(linear.in(1, f32({3, 8})), "[lora_linear] w (3, 8) gives 8 columns and b (2, 7) gives 7");
  refuses(linear.in(1, f32({4, 7})), "[lora_linear] x (5, 3) and w (4, 7): inner dimensions differ, 3 and 4");
  refuses(linear.in(3, f64({2, 7})), "[lora_linear] operand 3 is f64 where f32");
  refuses(linear.in(4, f32({1})), "[lora_linear] scale: 0 dimensions are expected, got shape (1)");
  refuses(linear.in(0, f32({})), "[lora_linear] x: at least 1 dimensions are expected");
}

TEST(ShapeRefusals, RowsOfAdapters) {
  const Call c(Op::lora_rows, {f16({2, 5, 3}), f16({6, 4, 3}), f16({6, 7, 4}), f32({6}), i32({2})});
  gives(c, {f16({2, 5, 7})});
  gives(c.in(3, f64({6})).more(f16({2, 5, 7})), {f16({2, 5, 7})});
  refuses(c.more(f16({2, 5, 8})), "[lora_rows] base: shape (2, 5, 7) is expected, got (2, 5, 8)");
  refuses(c.more(f32({2, 5, 7})), "[lora_rows] operand 5 is f32 where f16");
  refuses(c.in(0, f16({2, 3})), "[lora_rows] x: 3 dimensions are expected, got shape (2, 3)");
  refuses(c.in(1, f16({4, 3})), "[lora_rows] a: 3 dimensions are expected, got shape (4, 3)");
  refuses(c.in(2, f16({7, 4})), "[lora_rows] b: 3 dimensions are expected, got shape (7, 4)");
  refuses(c.in(1, f32({6, 4, 3})), "[lora_rows] operand 1 is f32 where f16");
  for (const Call& bad : {c.in(1, f16({6, 4, 2})), c.in(2, f16({5, 7, 4})), c.in(2, f16({6, 7, 3}))}) {
    refuses(bad, "(batch, tokens, k), (adapters, r, k) and (adapters, n, r) are expected");
  }
  refuses(c.in(3, f32({5})), "[lora_rows] scales: shape (6) is expected, got (5)");
  refuses(c.in(3, f16({6})), "[lora_rows] scales: f32 or f64 is expected, got f16");
  refuses(c.in(4, i32({6})), "[lora_rows] choice: shape (2) is expected, got (6)");
  refuses(c.in(4, i64({2})), "[lora_rows] choice: i32 is expected, got i64");
}

/// What an op accepts as its activation, which stands in attribute 2.
void check_activations(const Call& c, bool may_be_none) {
  for (const Op op : {Op::neg, Op::exp, Op::relu, Op::gelu, Op::silu})
    gives(c.i(2, static_cast<int64_t>(op)), c.i(2, static_cast<int64_t>(Op::relu)).run());
  for (const Op op : {Op::cast, Op::copy, Op::logical_not, Op::is_finite, Op::add, Op::full, Op::stop_gradient}) {
    refuses(c.i(2, static_cast<int64_t>(op)), "an activation is expected, got " + std::string(name_of(op)));
  }
  refuses(c.i(2, -1), "an activation is expected, got -1");
  refuses(c.i(2, kOpCount), "an activation is expected, got " + std::to_string(kOpCount));
  refuses(c.i(2, kOpCount - 1), "an activation is expected, got fused_elementwise");
  if (may_be_none) {
    gives(c.i(2, 0), c.i(2, static_cast<int64_t>(Op::relu)).run());
  } else {
    refuses(c.i(2, 0), "an activation is expected");
  }
}

TEST(ShapeRefusals, LinearLayers) {
  const Call c(Op::linear, {f32({5, 3}), f32({7, 3})}, {1});
  gives(c, {f32({5, 7})});
  check_activations(c, true);
  const Call bias = c.i(1, 1).more(f32({7})), residual = c.i(1, 2).more(f32({5, 7})), both = c.i(1, 3).more(f32({7})).more(f32({5, 7}));
  for (const Call& more : {bias, residual, both}) {
    gives(more, {f32({5, 7})});
    refuses(more.more(f32({7})), "operands are expected, got");
    refuses(more.i(1, 0), "[linear] 2 operands are expected, got");
  }
  refuses(c.i(1, 1), "[linear] 3 operands are expected, got 2");
  refuses(both.i(1, 7), "[linear] 4 operands are expected, got 4");
  refuses(both.i(1, -1), "[linear] 4 operands are expected, got 4");
  refuses(both.i(1, 1), "[linear] 3 operands are expected, got 4");
  refuses(bias.in(2, f32({5, 7})), "[linear] bias: shape (7) is expected, got (5, 7)");
  refuses(residual.in(2, f32({7})), "[linear] residual: shape (5, 7) is expected, got (7)");
  refuses(both.in(3, f32({7})), "[linear] residual: shape (5, 7) is expected, got (7)");
  refuses(both.in(3, f64({5, 7})), "[linear] operand 3 is f64 where f32");
  refuses(c.in(0, f32({})), "[linear] x: at least 1 dimensions are expected, got shape ()");
  refuses(c.i(0, 0), "[linear] x (5, 3) and w (7, 3): inner dimensions differ, 3 and 7");
  const Call gated(Op::gated_linear, {f32({5, 3}), f32({7, 3}), f32({7, 3})}, {1, 0, static_cast<int64_t>(Op::silu)});
  gives(gated, {f32({5, 7})});
  check_activations(gated, false);
  refuses(gated.in(2, f32({8, 3})), "[gated_linear] w_gate (7, 3) gives 7 columns and w_up (8, 3) gives 8");
  refuses(gated.in(2, f32({7, 4})), "[gated_linear] x (5, 3) and w_up (7, 4) (transposed): inner dimensions differ, 3 and 4");
  refuses(gated.in(2, f64({7, 3})), "[gated_linear] operand 2 is f64 where f32");
  refuses(gated.in(0, f32({})), "[gated_linear] x: at least 1 dimensions are expected");
}

TEST(ShapeRefusals, QuantizedLayers) {
  const Call eight(Op::quantized_linear, {f16({5, 64}), i8({7, 64}), f32({7, 1})}, {1}),
      four(Op::quantized_linear, {f16({5, 64}), u8({7, 32}), f16({7, 2})}, {2});
  for (const Call& c : {eight, four}) {
    gives(c, {f16({5, 7})});
    check_activations(c, true);
    const Call both = c.i(1, 3).more(f16({7})).more(f16({5, 7}));
    gives(both, {f16({5, 7})});
    gives(c.i(1, 1).more(f16({7})), {f16({5, 7})});
    gives(c.i(1, 2).more(f16({5, 7})), {f16({5, 7})});
    refuses(both.in(3, f16({5})), "[quantized_linear] bias: shape (7) is expected, got (5)");
    refuses(both.in(4, f16({7})), "[quantized_linear] residual: shape (5, 7) is expected, got (7)");
    refuses(both.in(3, f32({7})), "[quantized_linear] operand 3 is f32 where f16");
    refuses(both.in(4, f32({5, 7})), "[quantized_linear] operand 4 is f32 where f16");
    refuses(both.i(1, 4), "[quantized_linear] 3 operands are expected, got 5");
    refuses(both.i(1, 7), "[quantized_linear] 5 operands are expected, got 5");
    refuses(both.i(1, -1), "[quantized_linear] 5 operands are expected, got 5");
    refuses(c.i(1, 1), "[quantized_linear] 4 operands are expected, got 3");
    refuses(c.in(0, f16({})), "[quantized_linear] x: at least 1 dimensions are expected");
    refuses(c.in(2, f64({7, 1})), "[quantized_linear] scales: f32 or f16 is expected, got f64");
    refuses(c.in(2, f32({7, 3})), "[quantized_linear] scales: shape (7, ");
    refuses(c.i(0, 15), "[quantized_linear] 15 is no format of a stored weight");
    refuses(c.i(0, 0), "[quantized_linear] 0 is no format of a stored weight");
    refuses(c.i(0, static_cast<int64_t>(QuantFormatId::gptq4)), "[quantized_linear] there are no kernels for weights of the format gptq4");
  }
  refuses(eight.in(1, u8({7, 64})), "[quantized_linear] values: i8 is expected, got u8");
  refuses(four.in(1, i8({7, 32})), "[quantized_linear] values: u8 is expected, got i8");
  refuses(eight.in(1, i8({7, 32})), "[quantized_linear] values: shape (7, 64) is expected, got (7, 32)");
  refuses(four.in(1, u8({7, 64})), "[quantized_linear] values: shape (7, 32) is expected, got (7, 64)");
  const Call blocks(Op::quantized_linear, {f16({5, 512}), u8({7, 288})}, {static_cast<int64_t>(QuantFormatId::q4_k)});
  refuses(blocks.in(1, u8({7, 287})), "[quantized_linear] blocks: shape (7, 288) is expected, got (7, 287)");
  refuses(blocks.in(0, f16({5, 500})), "[quantized_linear] x (5, 500): rows do not divide into groups of 256");
  refuses(eight.in(1, i8({64})), "[quantized_linear] values: 2 dimensions are expected, got shape (64)");
  refuses(four.in(0, f16({5, 48})), "[quantized_linear] x (5, 48): rows do not divide into groups of 32");
  gives(eight.in(0, f16({5, 48})).in(1, i8({7, 48})), {f16({5, 7})});
}

TEST(ShapeRefusals, Dequantising) {
  const Call c(Op::dequantize, {u8({2, 6}), f16({2, 2})}, {3, static_cast<int64_t>(DType::bf16)});
  gives(c, {bf16({2, 6})});
  gives(c.in(0, i8({2, 6})).more(f16({2, 2})), {bf16({2, 6})});
  refuses(c.in(0, i32({2, 6})), "[dequantize] i8 or u8 is expected, got i32");
  refuses(c.in(0, u8({})), "[dequantize] q: at least 1 dimensions are expected");
  refuses(c.in(1, i32({2, 2})), "[dequantize] operand 1: a float dtype is expected, got i32");
  refuses(c.in(1, f16({2, 3})), "[dequantize] scales: shape (2, 2) is expected, got (2, 3)");
  refuses(c.more(f16({2, 3})), "[dequantize] zero points: shape (2, 2) is expected, got (2, 3)");
  refuses(c.more(f32({2, 2})), "[dequantize] zero points and scales must have one dtype");
  for (const int64_t group : {0, -1, 4, 7})
    refuses(c.i(0, group), "[dequantize] rows of 6 do not divide into groups of " + std::to_string(group));
  gives(c.i(0, 6).in(1, f16({2, 1})), {bf16({2, 6})});
  gives(c.i(0, 1).in(1, f16({2, 6})), {bf16({2, 6})});
  refuses(c.i(1, static_cast<int64_t>(DType::i32)), "[dequantize] a float result is expected, got i32");
  refuses(c.i(1, -1), "[dequantize] -1 is not a dtype");
}

TEST(ShapeRefusals, Rotations) {
  const TensorSpec x = f16({2, 5, 8}), table = f32({5, 4}), at = i32({});
  const Call rope(Op::rope, {x, table, table, at}), pair(Op::rope_pair, {x, f16({5, 8}), table, table, at});
  gives(rope, {x});
  gives(rope.in(1, f16({6, 3})).in(2, f16({6, 3})), {x});
  gives(pair, {x, f16({5, 8})});
  for (const auto& [c, k] : {std::pair{rope, size_t{1}}, std::pair{pair, size_t{2}}}) {
    refuses(c.in(0, i32({5, 8})), "operand 0: a float dtype is expected, got i32");
    refuses(c.in(0, f16({8})), ": at least 2 dimensions are expected, got shape (8)");
    refuses(c.in(k, f32({5, 4, 1})), "cos: 2 dimensions are expected, got shape (5, 4, 1)");
    refuses(c.in(k + 1, f32({5, 3})), "sin: shape (5, 4) is expected, got (5, 3)");
    refuses(c.in(k, f32({4, 4})).in(k + 1, f32({4, 4})), "tables (4, 4) do not fit x");
    refuses(c.in(k, f32({5, 5})).in(k + 1, f32({5, 5})), "tables (5, 5) do not fit x");
    refuses(c.in(k, f64({5, 4})), "tables: f32 or f16 is expected, got f64");
    refuses(c.in(k + 1, f64({5, 4})), "tables: f32 or f16 is expected, got f64");
    refuses(c.in(k + 2, i64({})), "offset: i32 is expected, got i64");
    refuses(c.in(k + 2, i32({1})), "offset: one number, or one for each of the 2 rows of axis 0, is expected, got (1)");
    refuses(c.in(k + 2, i32({2, 1})), "offset: one number, or one for each of the 2 rows of axis 0, is expected, got (2, 1)");
    refuses(c.in(0, f16({5, 8})).in(k + 2, i32({5})), ": at least 3 dimensions are expected, got shape (5, 8)");
  }
  refuses(pair.in(1, f32({5, 8})), "[rope_pair] operand 1 is f32 where f16");
  refuses(pair.in(1, f16({6, 8})), "[rope_pair] tables (5, 4) do not fit x (6, 8)");
  refuses(pair.in(1, f16({8})), "[rope_pair] k: at least 2 dimensions are expected");
  gives(rope.in(3, i32({2})), {x});
  gives(rope.in(0, f16({0, 5, 8})).in(3, i32({0})), {f16({0, 5, 8})});
  const Call by_row = pair.in(1, f16({2, 3, 5, 8})).in(4, i32({2}));
  gives(by_row, {x, f16({2, 3, 5, 8})});
  refuses(by_row.in(1, f16({5, 8})), "[rope_pair] k: at least 3 dimensions are expected, got shape (5, 8)");
  refuses(by_row.in(1, f16({3, 5, 8})), "[rope_pair] offset: one number, or one for each of the 3 rows of axis 0, is expected, got (2)");
  refuses(by_row.in(4, i64({2})), "[rope_pair] offset: i32 is expected, got i64");
}

TEST(ShapeRefusals, Attention) {
  const TensorSpec q = f16({2, 4, 3, 8}), k = f16({2, 2, 5, 8}), v = f16({2, 2, 5, 6}), one = f32({}), length = i32({});
  const Call forward(Op::sdpa, {q, k, v, one, length});
  gives(forward, {f16({2, 4, 3, 6}), f32({2, 4, 3})});
  const Call backward(Op::sdpa_backward, {q, k, v, f16({2, 4, 3, 6}), f32({2, 4, 3}), f16({2, 4, 3, 6}), one, length});
  gives(backward, {q, k, v});
  for (const Call& c : {forward, backward}) {
    refuses(c.in(0, i32({2, 4, 3, 8})), "operand 0: a float dtype is expected, got i32");
    refuses(c.in(1, f32({2, 2, 5, 8})), "operand 1 is f32 where f16");
    refuses(c.in(2, f32({2, 2, 5, 6})), "operand 2 is f32 where f16");
    refuses(c.in(0, f16({4, 3, 8})), "q: 4 dimensions are expected, got shape (4, 3, 8)");
    refuses(c.in(1, f16({2, 5, 8})), "k: 4 dimensions are expected");
    refuses(c.in(2, f16({2, 5, 6})), "v: 4 dimensions are expected");
    refuses(c.in(1, f16({1, 2, 5, 8})), "batch sizes differ");
    refuses(c.in(2, f16({1, 2, 5, 6})), "batch sizes differ");
    refuses(c.in(2, f16({2, 1, 5, 6})), "heads or lengths of k and v differ");
    refuses(c.in(2, f16({2, 2, 4, 6})), "heads or lengths of k and v differ");
    refuses(c.in(1, f16({2, 2, 5, 7})), "sizes of q and k differ");
    refuses(c.in(1, f16({2, 0, 5, 8})).in(2, f16({2, 0, 5, 6})), "heads of q are not a multiple of heads of k");
    const size_t scale = c.op() == Op::sdpa ? 3 : 6;
    refuses(c.in(scale, f32({1})), "scale: 0 dimensions are expected, got shape (1)");
    refuses(c.in(scale, f16({})), "scale: f32 or f64 is expected, got f16");
    refuses(c.in(scale + 1, i32({1})), "length: one number, or one for each of the 2 rows of axis 0, is expected, got (1)");
    gives(c.in(scale + 1, i32({2})), c.run());
    refuses(c.in(scale + 1, i64({})), "length: i32 is expected, got i64");
    const auto with = [&c](AttentionPart part, const TensorSpec& operand) { return c.i(3, static_cast<int64_t>(part)).more(operand); };
    gives(with(AttentionPart::mask, boolean({3, 5})), c.run());
    gives(with(AttentionPart::mask, f32({2, 1, 3, 1})), c.run());
    refuses(with(AttentionPart::mask, i32({3, 5})), "mask: bool or a float dtype is expected, got i32");
    refuses(with(AttentionPart::mask, boolean({5, 3})), "mask (5, 3) does not broadcast");
    gives(with(AttentionPart::softcap, f32({})), c.run());
    refuses(with(AttentionPart::softcap, f32({1})), "softcap: 0 dimensions are expected");
    refuses(with(AttentionPart::softcap, f16({})), "softcap: f32 or f64 is expected, got f16");
    gives(with(AttentionPart::sinks, f32({4})), c.run());
    refuses(with(AttentionPart::sinks, f32({2})), "sinks: shape (4) is expected, got (2)");
    refuses(with(AttentionPart::sinks, f16({4})), "sinks: f32 is expected, got f16");
    gives(with(AttentionPart::first_key, i32({2, 3})), c.run());
    refuses(with(AttentionPart::first_key, i32({3})), "first_key: shape (2, 3) is expected, got (3)");
    refuses(with(AttentionPart::first_key, i64({2, 3})), "first_key: i32 is expected, got i64");
    refuses(c.more(boolean({3, 5})), "operands are expected by the attribute `with`, got");
    refuses(c.i(3, 2), "operands are expected by the attribute `with`, got");
    refuses(c.i(3, 32), "optional operands 32 are not known");
    refuses(c.i(1, -1), "a window of 0 to 1073741823 keys, or -1 for none, is expected, got -2");
    refuses(c.i(2, int64_t{1} << 40), "a window of 0 to 1073741823 keys");
    gives(c.i(1, 1).i(2, 3), c.run());
  }
  refuses(backward.i(3, 16).more(i32({2, 3})), "[sdpa_backward] there is no gradient through keys in pages");
  refuses(backward.in(3, f32({2, 4, 3, 6})), "[sdpa_backward] operand 3 is f32 where f16");
  refuses(backward.in(3, f16({2, 4, 3, 8})), "[sdpa_backward] result: shape (2, 4, 3, 6) is expected");
  refuses(backward.in(4, f32({2, 4})), "[sdpa_backward] lse: shape (2, 4, 3) is expected, got (2, 4)");
  refuses(backward.in(4, f16({2, 4, 3})), "[sdpa_backward] lse: f32 is expected, got f16");
  refuses(backward.in(5, f32({2, 4, 3, 6})), "[sdpa_backward] operand 5 is f32 where f16");
  refuses(backward.in(5, f16({2, 4, 3, 8})), "[sdpa_backward] g: shape (2, 4, 3, 6) is expected");
}

TEST(ShapeRefusals, AttentionOnPages) {
  const TensorSpec q = f16({2, 4, 3, 8}), k = f16({7, 2, 128, 8}), v = f16({7, 2, 128, 6});
  const Call c = Call(Op::sdpa, {q, k, v, f32({}), i32({2}), i32({2, 5})}).i(3, 16);
  gives(c, {f16({2, 4, 3, 6}), f32({2, 4, 3})});
  gives(c.in(5, boolean({3, 640})).i(3, 17).more(i32({2, 5})), c.run());
  refuses(c.in(5, boolean({3, 128})).i(3, 17).more(i32({2, 5})),
          "mask (3, 128) does not broadcast to (batch, heads, nq, nk) = (2, 4, 3, 640)");
  refuses(c.in(5, i32({3, 5})), "[sdpa] blocks: (2, pages) is expected, got (3, 5)");
  refuses(c.in(5, i32({10})), "[sdpa] blocks: 2 dimensions are expected, got shape (10)");
  refuses(c.in(5, i64({2, 5})), "[sdpa] blocks: i32 is expected, got i64");
  refuses(c.in(5, i32({2, int64_t{1} << 60})), "there are too many keys");
  refuses(c.in(2, f16({6, 2, 128, 6})), "numbers of blocks differ");
  refuses(c.in(2, f16({7, 2, 64, 6})), "heads or lengths of k and v differ");
  for (const int64_t page : {0, 1, 96}) {
    refuses(c.in(1, f16({7, 2, page, 8})).in(2, f16({7, 2, page, 6})), "pages of a positive multiple of 64 keys are expected, got ");
  }
}

TEST(ShapeRefusals, PackedAttention) {
  const Call c(Op::sdpa_packed, {f16({7, 4, 8}), f16({7, 2, 8}), f16({7, 2, 6}), f32({}), i32({3})});
  gives(c, {f16({7, 4, 6})});
  gives(c.in(4, i32({1})), {f16({7, 4, 6})});
  refuses(c.in(4, i32({0})), "[sdpa_packed] starts: at least one number is expected");
  refuses(c.in(4, i32({})), "[sdpa_packed] starts: 1 dimensions are expected, got shape ()");
  refuses(c.in(4, i64({3})), "[sdpa_packed] starts: i32 is expected, got i64");
  refuses(c.in(3, f16({})), "[sdpa_packed] scale: f32 or f64 is expected, got f16");
  refuses(c.in(0, i32({7, 4, 8})), "[sdpa_packed] operand 0: a float dtype is expected, got i32");
  refuses(c.in(2, f32({7, 2, 6})), "[sdpa_packed] operand 2 is f32 where f16");
  refuses(c.in(0, f16({1, 7, 4, 8})), "[sdpa_packed] q: 3 dimensions are expected");
  refuses(c.in(1, f16({2, 8})), "[sdpa_packed] k: 3 dimensions are expected");
  refuses(c.in(2, f16({2, 6})), "[sdpa_packed] v: 3 dimensions are expected");
  for (const Call& bad : {c.in(1, f16({6, 2, 8})), c.in(2, f16({6, 2, 6})), c.in(2, f16({7, 4, 6})), c.in(1, f16({7, 2, 6}))})
    refuses(bad, "do not fit");
  refuses(c.in(0, f16({7, 3, 8})), "[sdpa_packed] 3 heads do not divide into 2 key heads");
  refuses(c.in(1, f16({7, 0, 8})).in(2, f16({7, 0, 6})), "[sdpa_packed] 4 heads do not divide into 0 key heads");
  refuses(c.i(1, -1), "[sdpa_packed] a window of 0 to 1073741823 keys, or -1 for none, is expected, got -2");
}

}  // namespace
}  // namespace lazuli::test
