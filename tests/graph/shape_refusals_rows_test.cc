// Checks what the shape rules of reductions, norms, losses and AdamW refuse, and what stands just inside.
#include "lazuli/op.h"
#include "support/shape_call.h"

namespace lazuli::test {
namespace {

using Call = ShapeCall;

TEST(ShapeRefusals, Reductions) {
  for (const Op op : {Op::sum, Op::max, Op::min, Op::mean, Op::logsumexp, Op::var}) {
    const Call c(op, {f32({2, 3})}, {3});
    gives(c, {f32({})});
    gives(c.i(0, 0), {f32({2, 3})});
    gives(c.i(1, 1), {f32({1, 1})});
    refuses(c.i(0, 4), "axes 0x4 are out of range for 2 dimensions");
    refuses(c.i(0, -1), "are out of range for 2 dimensions");
    refuses(c.in(0, boolean({2, 3})), "got bool");
  }
  for (const Op op : {Op::sum, Op::max, Op::min}) gives(Call(op, {u8({2, 3})}, {1}), {u8({3})});
  for (const Op op : {Op::mean, Op::logsumexp, Op::var}) {
    refuses(Call(op, {i32({2, 3})}, {1}), "operand 0: a float dtype is expected, got i32");
  }
  const Call var(Op::var, {f32({2, 3})}, {1});
  gives(var.i(2, 1), {f32({3})});
  refuses(var.i(2, 2), "[var] a correction of 0 or 1 is expected, got 2");
  refuses(var.i(2, -1), "[var] a correction of 0 or 1 is expected, got -1");
  gives(Call(Op::mean, {f32({2, 3})}, {1, 0, 2}), {f32({3})});
  refuses(Call(Op::argmax, {f32({2, 3})}, {0}), "[argmax] one axis is expected");
  refuses(Call(Op::argmax, {boolean({2, 3})}, {1}), "[argmax] operand 0: a numeric dtype is expected, got bool");
}

TEST(ShapeRefusals, ReductionsOfNothingNeedANeutralElementWhereTheyHaveResults) {
  for (const Op op : {Op::max, Op::min, Op::argmax}) {
    refuses(Call(op, {f32({0, 3})}, {1}), "shape (0, 3) has no elements to reduce");
    const TensorSpec none{op == Op::argmax ? DType::i32 : DType::f32, {0}};
    gives(Call(op, {f32({0, 3})}, {2}), {none});
  }
  for (const Op op : {Op::sum, Op::mean, Op::logsumexp, Op::var}) gives(Call(op, {f32({0, 3})}, {1}), {f32({3})});
}

TEST(ShapeRefusals, Softmax) {
  for (const Op op : {Op::softmax, Op::log_softmax}) {
    const Call c(op, {f16({2, 3})}, {1});
    gives(c, {f16({2, 3})});
    refuses(c.i(0, 2), "axis 2 is out of range for 2 dimensions");
    refuses(c.i(0, -1), "axis -1 is out of range for 2 dimensions");
    refuses(c.in(0, i32({2, 3})), "operand 0: a float dtype is expected, got i32");
    refuses(Call(op, {f32({})}), "axis 0 is out of range for 0 dimensions");
  }
  const Call backward(Op::softmax_backward, {f32({2, 3}), f32({2, 3})}, {1});
  gives(backward, {f32({2, 3})});
  refuses(backward.in(1, f16({2, 3})), "[softmax_backward] operand 1 is f16 where f32");
  refuses(backward.in(1, f32({3})), "[softmax_backward] g: shape (2, 3) is expected, got (3)");
  refuses(backward.i(0, 2), "[softmax_backward] axis 2");
  const Call scaled(Op::scaled_softmax, {f16({2, 3}), f32({}), f64({})}, {1});
  gives(scaled, {f16({2, 3})});
  refuses(scaled.in(1, f32({1})), "[scaled_softmax] pre: 0 dimensions are expected, got shape (1)");
  refuses(scaled.in(1, f16({})), "[scaled_softmax] pre: f32 or f64 is expected, got f16");
  refuses(scaled.in(2, f32({1})), "[scaled_softmax] post: 0 dimensions are expected, got shape (1)");
  refuses(scaled.in(2, bf16({})), "[scaled_softmax] post: f32 or f64 is expected, got bf16");
  refuses(scaled.i(0, 2), "[scaled_softmax] axis 2");
}

/// Operands from 1 to `rows` have the shape and dtype that stands there; the one behind them is eps.
void check_norm(const Call& c, const std::vector<TensorSpec>& results, const std::vector<const char*>& names,
                const std::vector<Shape>& shapes) {
  gives(c, results);
  refuses(c.in(0, i32({2, 4})), "operand 0: a float dtype is expected, got i32");
  refuses(c.in(0, f32({})), "x: at least 1 dimensions are expected, got shape ()");
  for (size_t k = 0; k < names.size(); ++k) {
    refuses(c.in(k + 1, f64(shapes[k])), "operand " + std::to_string(k + 1) + " is f64 where f32");
    refuses(c.in(k + 1, f32({5})), std::string(names[k]) + ": shape " + to_string(shapes[k]) + " is expected, got (5)");
  }
  refuses(c.in(names.size() + 1, f32({1})), "eps: 0 dimensions are expected, got shape (1)");
  refuses(c.in(names.size() + 1, f16({})), "eps: f32 or f64 is expected, got f16");
}

TEST(ShapeRefusals, Norms) {
  const TensorSpec x = f32({2, 4}), w = f32({4}), eps = f32({});
  check_norm(Call(Op::rms_norm, {x, w, eps}), {x}, {"weight"}, {{4}});
  check_norm(Call(Op::layer_norm, {x, w, w, eps}), {x}, {"weight", "bias"}, {{4}, {4}});
  check_norm(Call(Op::rms_norm_backward, {x, w, x, eps}), {x}, {"weight", "g"}, {{4}, {2, 4}});
  check_norm(Call(Op::layer_norm_backward, {x, w, x, eps}), {x}, {"weight", "g"}, {{4}, {2, 4}});
  check_norm(Call(Op::add_rms_norm, {x, x, w, eps}), {x, x}, {"r", "weight"}, {{2, 4}, {4}});
  check_norm(Call(Op::add_layer_norm, {x, x, w, w, eps}), {x, x}, {"r", "weight", "bias"}, {{2, 4}, {4}, {4}});
}

TEST(ShapeRefusals, GroupNorm) {
  const Call c(Op::group_norm, {f32({2, 4, 6}), f32({4}), f32({4}), f32({})}, {4});
  gives(c, {f32({2, 4, 6})});
  gives(c.i(0, 1), {f32({2, 4, 6})});
  refuses(c.i(0, 0), "[group_norm] 4 channels do not divide into 0 groups");
  refuses(c.i(0, -2), "[group_norm] 4 channels do not divide into -2 groups");
  refuses(c.in(0, f32({4})), "[group_norm] x: at least 2 dimensions are expected, got shape (4)");
  gives(c.in(0, f32({2, 4})), {f32({2, 4})});
  refuses(c.in(0, i32({2, 4})), "[group_norm] operand 0: a float dtype is expected, got i32");
  refuses(c.in(1, f32({6})), "[group_norm] weight: shape (4) is expected, got (6)");
  refuses(c.in(2, f32({6})), "[group_norm] bias: shape (4) is expected, got (6)");
  refuses(c.in(2, f64({4})), "[group_norm] operand 2 is f64 where f32");
  refuses(c.in(3, i32({})), "[group_norm] eps: f32 or f64 is expected, got i32");
}

TEST(ShapeRefusals, Losses) {
  const Call loss(Op::cross_entropy, {bf16({2, 3, 9}), i64({2, 3}), f32({})}, {-100});
  gives(loss, {f32({2, 3}), f32({2, 3})});
  gives(loss.in(0, f64({2, 3, 1})), {f64({2, 3}), f64({2, 3})});
  refuses(loss.in(0, i32({2, 3, 9})), "[cross_entropy] operand 0: a float dtype is expected, got i32");
  refuses(loss.in(0, f32({})), "[cross_entropy] logits: at least 1 dimensions are expected, got shape ()");
  refuses(loss.in(1, u8({2, 3})), "[cross_entropy] targets: i32 or i64 is expected, got u8");
  refuses(loss.in(1, i32({3, 2})), "[cross_entropy] targets: shape (2, 3) is expected, got (3, 2)");
  refuses(loss.in(2, f32({1})), "[cross_entropy] smoothing: 0 dimensions are expected, got shape (1)");
  refuses(loss.in(0, f32({2, 3, 0})), "[cross_entropy] logits (2, 3, 0) have no classes");
  gives(loss.in(0, f32({0, 0})).in(1, i32({0})), {f32({0}), f32({0})});
  const Call backward(Op::cross_entropy_backward, {bf16({2, 9}), i64({2}), f32({}), f32({2}), f32({2})});
  gives(backward, {bf16({2, 9})});
  refuses(backward.in(3, f32({3})), "[cross_entropy_backward] lse: shape (2) is expected, got (3)");
  refuses(backward.in(4, f32({3})), "[cross_entropy_backward] g: shape (2) is expected, got (3)");
  refuses(backward.in(3, f64({2})), "[cross_entropy_backward] operand 3: f32 is expected, got f64");
  refuses(backward.in(4, bf16({2})), "[cross_entropy_backward] operand 4: f32 is expected, got bf16");
  const Call fused(Op::linear_cross_entropy, {f16({2, 4}), f16({9, 4}), i32({2}), f32({})}, {-100, 1});
  gives(fused, {f32({2}), f32({2}), f16({2, 4})});
  gives(fused.i(1, 0).in(1, f16({4, 9})), {f32({2}), f32({2}), f16({2, 4})});
  refuses(fused.in(0, f16({4})), "[linear_cross_entropy] x: at least 2 dimensions are expected, got shape (4)");
  refuses(fused.in(1, f32({9, 4})), "[linear_cross_entropy] operand 1 is f32 where f16");
  refuses(fused.in(1, f16({9, 5})), "inner dimensions differ, 4 and 5");
  refuses(fused.in(2, f32({2})), "[linear_cross_entropy] targets: i32 or i64 is expected, got f32");
  refuses(fused.in(2, i32({3})), "[linear_cross_entropy] targets: shape (2) is expected, got (3)");
  refuses(fused.in(3, f16({})), "[linear_cross_entropy] smoothing: f32 or f64 is expected, got f16");
  refuses(fused.in(1, f16({0, 4})), "[linear_cross_entropy] w (0, 4) has no classes");
  gives(fused.in(0, f16({0, 4})).in(1, f16({0, 4})).in(2, i32({0})), {f32({0}), f32({0}), f16({0, 4})});
}

TEST(ShapeRefusals, Dropout) {
  const Call c(Op::dropout, {f16({2}), f64({}), i64({})});
  gives(c, {f16({2})});
  refuses(c.in(0, i32({2})), "[dropout] operand 0: a float dtype is expected, got i32");
  refuses(c.in(1, f32({1})), "[dropout] probability: 0 dimensions are expected, got shape (1)");
  refuses(c.in(1, f16({})), "[dropout] probability: f32 or f64 is expected, got f16");
  refuses(c.in(2, i64({1})), "[dropout] seed: 0 dimensions are expected, got shape (1)");
  refuses(c.in(2, i32({})), "[dropout] seed: i64 is expected, got i32");
}

TEST(ShapeRefusals, Samples) {
  constexpr int64_t kMost = int64_t{1} << 23;
  const Call c(Op::sample, {f16({kMost}), i32({9}), i32({}), f32({4}), i64({4})});
  gives(c, {i32({})});
  gives(c.in(0, f32({1})).in(1, i32({0})).in(2, i64({})), {i32({})});
  refuses(c.in(0, f16({kMost + 1})), "[sample] 1 to 8388608 logits are expected, got 8388609");
  refuses(c.in(0, f16({0})), "[sample] 1 to 8388608 logits are expected, got 0");
  refuses(c.in(0, f16({})), "[sample] logits: 1 dimensions are expected, got shape ()");
  refuses(c.in(0, f16({1, 2, 4})), "[sample] logits: 1 dimensions are expected, got shape (1, 2, 4)");
  refuses(c.in(0, i32({4})), "[sample] operand 0: a float dtype is expected, got i32");
  refuses(c.in(1, i32({3, 3})), "[sample] ids: 1 dimensions are expected, got shape (3, 3)");
  refuses(c.in(1, i64({9})), "[sample] ids: i32 is expected, got i64");
  refuses(c.in(2, f32({})), "[sample] length: i32 or i64 is expected, got f32");
  refuses(c.in(2, i32({1})), "[sample] length: shape () is expected, got (1)");
  refuses(c.in(3, f32({3})), "[sample] rules: shape (4) is expected, got (3)");
  refuses(c.in(3, f64({4})), "[sample] rules: f32 is expected, got f64");
  refuses(c.in(4, i64({5})), "[sample] counts: shape (4) is expected, got (5)");
  refuses(c.in(4, i32({4})), "[sample] counts: i64 is expected, got i32");
}

TEST(ShapeRefusals, SamplesOfRows) {
  const Call c(Op::sample, {f16({3, 20}), i32({3, 9}), i32({3}), f32({3, 4}), i64({3, 4})});
  gives(c, {i32({3})});
  gives(Call(Op::sample, {f16({0, 20}), i32({0, 9}), i64({0}), f32({0, 4}), i64({0, 4})}), {i32({0})});
  refuses(c.in(0, f16({3, 0})), "[sample] 1 to 8388608 logits are expected, got 0");
  refuses(c.in(0, f16({20})), "[sample] ids: 1 dimensions are expected, got shape (3, 9)");
  refuses(c.in(1, i32({9})), "[sample] ids: 2 dimensions are expected, got shape (9)");
  refuses(c.in(1, i32({2, 9})), "[sample] ids (2, 9) must have the rows of logits (3, 20)");
  refuses(c.in(2, i32({})), "[sample] length: shape (3) is expected, got ()");
  refuses(c.in(2, i32({2})), "[sample] length: shape (3) is expected, got (2)");
  refuses(c.in(3, f32({4})), "[sample] rules: shape (3, 4) is expected, got (4)");
  refuses(c.in(3, f32({2, 4})), "[sample] rules: shape (3, 4) is expected, got (2, 4)");
  refuses(c.in(4, i64({4})), "[sample] counts: shape (3, 4) is expected, got (4)");
  refuses(c.in(4, i64({3, 5})), "[sample] counts: shape (3, 4) is expected, got (3, 5)");
}

TEST(ShapeRefusals, AdamW) {
  const TensorSpec p = f16({2, 3}), m = f32({2, 3}), q = f16({5}), n = f32({5}), one = f32({});
  const Call c(Op::adamw, {p, m, m, m, q, n, n, n, one, one, one, one, one, i32({}), one});
  gives(c, {p, m, m, q, n, n});
  refuses(c.more(one), "[adamw] 4 operands for each parameter and 7 numbers are expected, got 16");
  for (const size_t k : {size_t{0}, size_t{1}, size_t{4}, size_t{7}}) refuses(c.in(k, i32({5})), "a float dtype is expected, got i32");
  refuses(c.in(1, f32({3, 2})), "[adamw] gradient: shape (2, 3) is expected, got (3, 2)");
  refuses(c.in(6, f32({2, 3})), "[adamw] m: shape (5) is expected, got (2, 3)");
  refuses(c.in(7, f32({2, 3})), "[adamw] v: shape (5) is expected, got (2, 3)");
  refuses(c.in(4, f32({5})), "[adamw] parameter: f16 is expected as in the first parameter, got f32");
  refuses(c.in(5, f16({5})), "[adamw] gradient: f32 is expected as in the first parameter, got f16");
  const char* names[] = {"rate", "beta1", "beta2", "eps", "decay", "step", "gradient_factor"};
  for (size_t k = 0; k < 7; ++k) {
    refuses(c.in(8 + k, f32({1})), std::string("[adamw] ") + names[k] + ": 0 dimensions are expected, got shape (1)");
    refuses(c.in(8 + k, i64({})),
            std::string("[adamw] ") + names[k] + (k == 5 ? ": i32 is expected" : ": f32 or f64 is expected") + ", got i64");
  }
}

}  // namespace
}  // namespace lazuli::test
