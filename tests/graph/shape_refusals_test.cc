// Checks what the rules of leaves, elementwise ops, views, moves and gathers refuse, and that they accept what stands just inside a border.
#include <limits>
#include <memory>

#include "lazuli/op.h"
#include "support/shape_call.h"

namespace lazuli::test {
namespace {

using Call = ShapeCall;

constexpr int64_t kLast = std::numeric_limits<int64_t>::max(), kFirst = std::numeric_limits<int64_t>::min();

TEST(ShapeRefusals, Leaves) {
  gives(Call(Op::scalar).to(i32({})), {i32({})});
  refuses(Call(Op::scalar).to(i32({1})), "[scalar] no dimensions are expected, got shape (1)");
  refuses(Call(Op::input), "[input] the dtype and shape of the result must be given");
  gives(Call(Op::arange, {}, {0, 1}).to(i8({3})), {i8({3})});
  refuses(Call(Op::arange, {}, {0, 1}).to(i32({})), "[arange] 1 dimension is expected, got shape ()");
  refuses(Call(Op::arange, {}, {0, 1}).to(i32({3, 1})), "[arange] 1 dimension is expected, got shape (3, 1)");
  refuses(Call(Op::arange, {}, {0, 1}).to(boolean({3})), "[arange] a numeric dtype is expected, got bool");
}

TEST(ShapeRefusals, AnArangeEndsWithinTheNumbersOf64Bits) {
  const auto arange = [](int64_t start, int64_t step, int64_t n) { return Call(Op::arange, {}, {start, step}).to(i64({n})); };
  gives(arange(kLast - 1, 1, 1), {i64({1})});
  refuses(arange(kLast, 1, 1), "[arange] 1 values from 9223372036854775807 in steps of 1 do not fit 64 bits");
  gives(arange(kLast, 1, 0), {i64({0})});
  gives(arange(kFirst + 1, -1, 1), {i64({1})});
  refuses(arange(kFirst, -1, 1), "do not fit 64 bits");
  gives(arange(1, kLast / 2, 2), {i64({2})});
  refuses(arange(2, kLast / 2, 2), "do not fit 64 bits");
  refuses(arange(kFirst, kLast / 2, 3), "do not fit 64 bits");
}

TEST(ShapeRefusals, RandomNumbers) {
  for (const Op op : {Op::random_uniform, Op::random_normal}) {
    gives(Call(op, {i64({})}).to(bf16({2})), {bf16({2})});
    refuses(Call(op, {i64({})}).to(i64({2})), "the result cannot be i64");
    refuses(Call(op, {i64({1})}).to(f32({2})), "seed: 0 dimensions are expected, got shape (1)");
    refuses(Call(op, {i32({})}).to(f32({2})), "seed: i64 is expected, got i32");
  }
  gives(Call(Op::random_bits, {i64({})}).to(i64({2})), {i64({2})});
  refuses(Call(Op::random_bits, {i64({})}).to(i32({2})), "[random_bits] the result cannot be i32");
  refuses(Call(Op::random_bits, {i64({})}).to(f32({2})), "[random_bits] the result cannot be f32");
}

TEST(ShapeRefusals, ElementwiseOps) {
  for (const Op op : {Op::neg, Op::abs, Op::sign, Op::square, Op::relu}) {
    gives(Call(op, {u8({2})}), {u8({2})});
    refuses(Call(op, {boolean({2})}), "operand 0: a numeric dtype is expected, got bool");
  }
  for (const Op op : {Op::copy, Op::stop_gradient}) gives(Call(op, {boolean({2})}), {boolean({2})});
  gives(Call(Op::is_finite, {f32({2})}), {boolean({2})});
  gives(Call(Op::logical_not, {boolean({2})}), {boolean({2})});
  refuses(Call(Op::logical_not, {f32({2})}), "[logical_not] bool is expected, got f32");
  refuses(Call(Op::add, {boolean({2}), boolean({2})}), "[add] operand 0: a numeric dtype is expected, got bool");
  refuses(Call(Op::pow, {i32({2}), i32({2})}), "[pow] operand 0: a float dtype is expected, got i32");
  refuses(Call(Op::pow, {f32({2}), f64({2})}), "[pow] operand 1 is f64 where f32, the dtype of operand 0, is expected");
  gives(Call(Op::equal, {boolean({2}), boolean({2})}), {boolean({2})});
  refuses(Call(Op::equal, {i32({2}), i64({2})}), "[equal] operand 1 is i64 where i32");
  refuses(Call(Op::logical_or, {i32({2}), i32({2})}), "[logical_or] bool is expected, got i32");
  refuses(Call(Op::logical_and, {boolean({2}), i32({2})}), "[logical_and] operand 1 is i32 where bool");
  refuses(Call(Op::where, {boolean({2}), f32({2}), i32({2})}), "[where] one dtype is expected, got f32 and i32");
  refuses(Call(Op::where, {boolean({3}), f32({2}), f32({2})}), "[where] shapes (3) and (2) do not broadcast");
  refuses(Call(Op::where, {boolean({2}), f32({2}), f32({3})}), "[where] shapes (2) and (3) do not broadcast");
  gives(Call(Op::where, {boolean({2, 1}), boolean({}), boolean({3})}), {boolean({2, 3})});
}

TEST(ShapeRefusals, Casts) {
  for (int64_t k = 0; k < kDTypeCount; ++k) gives(Call(Op::cast, {f32({2})}, {k}), {{static_cast<DType>(k), {2}}});
  refuses(Call(Op::cast, {f32({2})}, {-1}), "[cast] -1 is not a dtype");
  refuses(Call(Op::cast, {f32({2})}, {kDTypeCount}), "[cast] 9 is not a dtype");
}

TEST(ShapeRefusals, Clip) {
  const Call clip(Op::clip, {i32({2}), i32({}), i32({})});
  gives(clip, {i32({2})});
  refuses(clip.in(0, boolean({2})), "[clip] operand 0: a numeric dtype is expected, got bool");
  refuses(clip.in(1, i32({1})), "[clip] low: 0 dimensions are expected, got shape (1)");
  refuses(clip.in(2, i32({1})), "[clip] high: 0 dimensions are expected, got shape (1)");
  refuses(clip.in(1, f32({})), "[clip] operand 1 is f32 where i32");
  refuses(clip.in(2, f32({})), "[clip] operand 2 is f32 where i32");
}

TEST(ShapeRefusals, Broadcasting) {
  const auto add = [](const Shape& a, const Shape& b) { return Call(Op::add, {f32(a), f32(b)}); };
  gives(add({1}, {0}), {f32({0})});
  gives(add({0}, {1}), {f32({0})});
  gives(add({3, 1, 2}, {4, 1}), {f32({3, 4, 2})});
  gives(add({1, 1, 1, 1, 1, 1, 1, 2}, {2}), {f32({1, 1, 1, 1, 1, 1, 1, 2})});
  refuses(add({0}, {2}), "shapes (0) and (2) do not broadcast");
  refuses(add({2, 3}, {2}), "shapes (2, 3) and (2) do not broadcast");
}

std::shared_ptr<ElementwiseProgram> program() {
  auto p = std::make_shared<ElementwiseProgram>();
  p->inputs = 2;
  p->code = {{Op::add, {0, 1, 0}, DType::f32}, {Op::less, {2, 1, 0}, DType::boolean}};
  p->outputs = {3};
  p->shape = {2, 3, 4};
  return p;
}

TEST(ShapeRefusals, FusedPrograms) {
  const Call fused(Op::fused_elementwise, {f32({2, 3, 4}), f32({3, 1})});
  refuses(fused, "[fused_elementwise] a program is expected");
  gives(fused.payload(program()), {boolean({2, 3, 4})});
  refuses(fused.more(f32({})).payload(program()), "the program reads 2 operands, got 3");
  refuses(Call(Op::fused_elementwise, {f32({2, 3, 4})}).payload(program()), "the program reads 2 operands, got 1");
  refuses(fused.in(1, f32({2})).payload(program()), "operand (2) does not broadcast to (2, 3, 4)");
  refuses(fused.in(1, f32({1, 2, 3, 4})).payload(program()), "operand (1, 2, 3, 4) does not broadcast to (2, 3, 4)");
  auto p = program();
  p->outputs = {0, 1, 2, 3};
  gives(fused.in(1, f16({})).payload(p), {f32({2, 3, 4}), f16({2, 3, 4}), f32({2, 3, 4}), boolean({2, 3, 4})});
  p = program();
  p->outputs = {2, 4};
  refuses(fused.payload(p), "output 4 is not one of 4 values");
  for (const size_t k : {size_t{0}, size_t{1}}) {
    for (const size_t j : {size_t{0}, size_t{1}}) {
      p = program();
      p->code[k].operand[j] = static_cast<uint16_t>(2 + k);
      refuses(fused.payload(p),
              "instruction " + std::to_string(k) + " reads value " + std::to_string(2 + k) + ", which is not made before it");
    }
  }
}

TEST(ShapeRefusals, FusedProgramsThatReduce) {
  const Call fused(Op::fused_elementwise, {f32({2, 3, 4}), f32({3, 1})});
  auto p = program();
  p->outputs = {2};
  p->reduces = true;
  for (const int64_t axes : {0, 1, 2, 4, 5, 7}) {
    p->axes = axes;
    Shape dropped, kept;
    for (int k = 0; k < 3; ++k) {
      const bool fold = ((axes >> k) & 1) != 0;
      if (!fold) dropped.push_back(p->shape[k]);
      kept.push_back(fold ? 1 : p->shape[k]);
    }
    p->keepdims = false;
    gives(fused.payload(p), {f32(dropped)});
    p->keepdims = true;
    gives(fused.payload(p), {f32(kept)});
  }
  p->outputs = {2, 2};
  refuses(fused.payload(p), "a program that reduces has one output");
  p->outputs.clear();
  refuses(fused.payload(p), "a program that reduces has one output");
}

TEST(ShapeRefusals, Views) {
  const Call reshape(Op::reshape, {f32({2, 3})});
  gives(reshape.to(f32({3, 1, 2})), {f32({3, 1, 2})});
  refuses(reshape.to(i32({6})), "[reshape] the result has the operand's dtype f32, not i32");
  refuses(reshape.to(f32({-6})), "dimensions must be at least 0, got (-6)");
  refuses(reshape.to(f32({kLast, kLast})), "has more bytes than an address can count");
  gives(Call(Op::reshape, {f32({0, 3})}).to(f32({7, 0})), {f32({7, 0})});
  const Call expand(Op::expand, {f32({1, 3})});
  gives(expand.to(f32({0, 3})), {f32({0, 3})});
  refuses(expand.to(f32({3})), "[expand] shape (1, 3) does not broadcast to (3)");
  refuses(expand.to(f32({2, 1})), "[expand] shape (1, 3) does not broadcast to (2, 1)");
  refuses(expand.to(f16({2, 3})), "[expand] the result has the operand's dtype f32, not f16");
  const Call transpose(Op::transpose, {f32({2, 3})}, {0x01});
  gives(transpose, {f32({3, 2})});
  refuses(transpose.i(0, 0x02), "[transpose] axis 2 is out of range for 2 dimensions");
  refuses(transpose.i(0, 0x11), "[transpose] axis 1 is named twice");
  gives(Call(Op::transpose, {f32({1, 2, 3, 4, 5, 6, 7, 8})}, {0x01234567}), {f32({8, 7, 6, 5, 4, 3, 2, 1})});
  const Call barrier(Op::barrier, {boolean({2}), f32({3})});
  gives(barrier, {boolean({2})});
}

TEST(ShapeRefusals, SlicesStayInside) {
  const auto slice = [](int64_t start, int64_t step, int64_t count) {
    return Call(Op::slice, {f32({5})}).list({start, step}).to(f32({count}));
  };
  for (const auto& [start, step, count] : std::vector<std::array<int64_t, 3>>{
           {0, 1, 5}, {4, 1, 1}, {5, 1, 0}, {0, 4, 2}, {1, 2, 2}, {2, 2, 2}, {4, kLast, 1}, {0, kLast, 1}}) {
    gives(slice(start, step, count), {f32({count})});
  }
  for (const auto& [start, step, count] : std::vector<std::array<int64_t, 3>>{{-1, 1, 1},
                                                                              {6, 1, 0},
                                                                              {5, 1, 1},
                                                                              {0, 1, 6},
                                                                              {0, 0, 1},
                                                                              {0, -1, 1},
                                                                              {0, 1, -1},
                                                                              {0, 5, 2},
                                                                              {1, 4, 2},
                                                                              {0, kLast, 2},
                                                                              {1, kLast, 2},
                                                                              {0, kLast, 3}}) {
    refuses(slice(start, step, count), "do not lie in a dimension of 5");
  }
  refuses(slice(0, 1, 1).list({0, 1, 1}), "[slice] 2 list entries are expected for 1 dimensions, got 3");
  refuses(slice(0, 1, 1).to(f32({1, 1})), "[slice] shape (1, 1) cannot be a slice of (5)");
  refuses(slice(0, 1, 1).to(f64({1})), "[slice] the result has the operand's dtype f32, not f64");
}

TEST(ShapeRefusals, Checkpoints) {
  const Call checkpoint(Op::checkpoint, {f32({1}), f32({2}), i32({3})});
  gives(checkpoint, {f32({1}), f32({2}), i32({3})});
  gives(checkpoint.i(0, 2), {i32({3})});
  refuses(checkpoint.i(0, 3), "[checkpoint] 3 arguments leave no result among 3 operands");
  refuses(checkpoint.i(0, -1), "[checkpoint] -1 arguments leave no result among 3 operands");
}

TEST(ShapeRefusals, Gathers) {
  const Call gather(Op::gather, {boolean({1, 2, 3, 4, 5}), i64({6, 7, 8, 9})}, {4});
  gives(gather, {boolean({1, 2, 3, 4, 6, 7, 8, 9})});
  refuses(gather.in(1, i32({6, 7, 8, 9, 1})), "[gather] shapes (1, 2, 3, 4, 5) and (6, 7, 8, 9, 1) give more than 8 dimensions");
  refuses(gather.i(0, 5), "[gather] axis 5 is out of range for 5 dimensions");
  refuses(gather.i(0, -1), "[gather] axis -1 is out of range for 5 dimensions");
  refuses(gather.in(1, u8({2})), "[gather] indices: i32 or i64 is expected, got u8");
  const Call along(Op::take_along, {f32({2, 3}), i32({2, 7})}, {1});
  gives(along, {f32({2, 7})});
  refuses(along.i(0, 2), "[take_along] axis 2 is out of range for 2 dimensions");
  refuses(along.in(1, f32({2, 7})), "[take_along] indices: i32 or i64 is expected, got f32");
  refuses(along.in(1, i32({3, 7})), "[take_along] indices: shape (3, 7) differs from (2, 3) outside axis 1");
  refuses(along.in(1, i32({2})), "[take_along] indices: shape (2) differs from (2, 3) outside axis 1");
}

TEST(ShapeRefusals, Scatters) {
  const Call scatter(Op::scatter_add, {f32({2, 3}), i32({7}), f32({2, 7})}, {1}),
      along(Op::scatter_along_add, {f32({2, 3}), i32({2, 7}), f32({2, 7})}, {1});
  for (const Call& c : {scatter, along}) {
    gives(c, {f32({2, 3})});
    refuses(c.in(0, boolean({2, 3})), "operand 0: a numeric dtype is expected, got bool");
    refuses(c.in(2, f64({2, 7})), "operand 2 is f64 where f32");
    refuses(c.in(2, f32({2, 3})), "updates: shape (2, 7) is expected, got (2, 3)");
    refuses(c.i(0, 2), "axis 2 is out of range for 2 dimensions");
  }
}

TEST(ShapeRefusals, Concatenations) {
  const Call concat(Op::concat, {i8({2, 3}), i8({2, 1})}, {1});
  gives(concat, {i8({2, 4})});
  refuses(concat.i(0, 2), "[concat] axis 2 is out of range for 2 dimensions");
  refuses(concat.in(1, u8({2, 1})), "[concat] operand 1 is u8 where i8");
  refuses(concat.in(1, i8({2})), "[concat] part: shape (2) differs from (2, 3) outside axis 1");
  refuses(concat.more(i8({1, 3})), "[concat] part: shape (1, 3) differs from (2, 3) outside axis 1");
  const Call empty(Op::concat, {i8({0, kLast}), i8({0, 1})}, {1});
  refuses(empty, "[concat] the result is too long");
  gives(empty.in(1, i8({0, 0})), {i8({0, kLast})});
}

TEST(ShapeRefusals, Padding) {
  const Call pad = Call(Op::pad, {i32({2, 3}), i32({})}).list({0, 1, 2, 0});
  gives(pad, {i32({4, 4})});
  refuses(pad.in(1, i32({1})), "[pad] value: 0 dimensions are expected, got shape (1)");
  refuses(pad.in(1, f32({})), "[pad] operand 1 is f32 where i32");
  refuses(pad.list({0, 0, 0}), "[pad] 4 list entries are expected for 2 dimensions, got 3");
  refuses(pad.list({0, -1, 0, 0}), "[pad] axis 1: at least 0 elements are expected, got -1 and 0");
  refuses(pad.list({0, 0, -1, 0}), "[pad] axis 0: at least 0 elements are expected, got 0 and -1");
  refuses(pad.list({kLast - 1, 0, 0, 0}), "[pad] the result is too long");
  refuses(pad.list({1, 0, kLast - 2, 0}), "[pad] the result is too long");
}

TEST(ShapeRefusals, Updates) {
  const Call update = Call(Op::slice_update, {f32({4, 5}), f32({2, 5}), i32({})}).list({2, 0, 1, 1});
  gives(update, {f32({4, 5})});
  gives(update.in(2, i64({})).i(0, 1), {f32({4, 5})});
  refuses(update.in(1, f64({2, 5})), "[slice_update] operand 1 is f64 where f32");
  refuses(update.in(1, f32({5})), "[slice_update] update (5) must have as many dimensions as (4, 5)");
  refuses(update.in(1, f32({3, 5})), "[slice_update] axis 0: 3 elements from 2 on with step 1 do not lie in a dimension of 4");
  refuses(update.in(1, f32({2, 6})), "[slice_update] axis 1: 6 elements from 0 on with step 1 do not lie in a dimension of 5");
  refuses(update.in(2, i32({1})), "[slice_update] offset: one number is expected where axis 0 is shifted");
  refuses(update.in(2, f32({})), "[slice_update] offset: i32 or i64 is expected, got f32");
  refuses(update.i(0, 2), "[slice_update] axis 2 is out of range for 2 dimensions");
  refuses(update.list({2, 0, 1}), "[slice_update] 4 list entries are expected for 2 dimensions, got 3");
  gives(Call(Op::slice_update, {f32({}), f32({}), i32({})}), {f32({})});
  refuses(Call(Op::slice_update, {f32({}), f32({}), i32({1})}), "[slice_update] offset: one number is expected where axis 0 is shifted");
  refuses(Call(Op::slice_update, {f32({4}), f32({4}), i32({4})}).list({0, 1}), "[slice_update] offset: one number is expected");
  const Call by_row = Call(Op::slice_update, {f32({4, 5}), f32({4, 2}), i32({4})}).list({0, 0, 1, 1}).i(0, 1);
  gives(by_row, {f32({4, 5})});
  gives(by_row.in(2, i64({4})), {f32({4, 5})});
  refuses(by_row.i(0, 0), "[slice_update] offset: one number is expected where axis 0 is shifted");
  refuses(by_row.in(2, i32({2})), "[slice_update] offset: one number, or one for each of the 4 rows of axis 0, is expected, got (2)");
  refuses(by_row.in(2, i32({4, 1})), "[slice_update] offset: one number, or one for each of the 4 rows of axis 0, is expected, got (4, 1)");
  refuses(by_row.in(1, f32({3, 2})), "[slice_update] update (3, 2) must have the 4 rows of (4, 5)");
  refuses(by_row.in(2, f32({4})), "[slice_update] offset: i32 or i64 is expected, got f32");
  refuses(by_row.list({0, 4, 1, 1}), "[slice_update] axis 1: 2 elements from 4 on with step 1 do not lie in a dimension of 5");
  const Call pages(Op::page_update, {f32({7, 2, 16, 8}), f32({3, 2, 5, 8}), i32({3, 4}), i32({3})});
  gives(pages, {f32({7, 2, 16, 8})});
  gives(pages.in(3, i64({})), {f32({7, 2, 16, 8})});
  refuses(pages.in(1, f64({3, 2, 5, 8})), "[page_update] operand 1 is f64 where f32");
  refuses(pages.in(0, f32({7, 16, 8})), "[page_update] pool: 4 dimensions are expected");
  refuses(pages.in(1, f32({3, 1, 5, 8})), "[page_update] x (3, 1, 5, 8): (batch, 2, tokens, 8) is expected for a pool (7, 2, 16, 8)");
  refuses(pages.in(1, f32({3, 2, 5, 4})), "(batch, 2, tokens, 8) is expected");
  refuses(pages.in(0, f32({7, 2, 0, 8})), "[page_update] pool (7, 2, 0, 8): pages of at least one token are expected");
  refuses(pages.in(2, i32({12})), "[page_update] blocks: 2 dimensions are expected, got shape (12)");
  refuses(pages.in(2, i32({2, 4})), "[page_update] blocks: (3, pages) is expected, got (2, 4)");
  refuses(pages.in(2, i64({3, 4})), "[page_update] blocks: i32 is expected, got i64");
  refuses(pages.in(2, i32({3, int64_t{1} << 60})), "there are too many tokens");
  refuses(pages.in(3, f32({3})), "[page_update] offset: i32 or i64 is expected, got f32");
  refuses(pages.in(3, i32({2})), "[page_update] offset: one number, or one for each of the 3 rows of axis 0, is expected, got (2)");
  const Call at = Call(Op::slice_at, {f32({4, 5}), i32({})}).to(f32({4, 5}));
  gives(at, {f32({4, 5})});
  gives(at.to(f32({0, 5})), {f32({0, 5})});
  refuses(at.to(f32({5, 5})), "[slice_at] shape (5, 5) cannot be cut out of (4, 5) along axis 0");
  refuses(at.to(f32({4, 4})), "[slice_at] shape (4, 4) cannot be cut out of (4, 5) along axis 0");
  gives(at.i(0, 1).to(f32({4, 4})), {f32({4, 4})});
  refuses(at.to(f32({4})), "[slice_at] shape (4) cannot be cut out of (4, 5) along axis 0");
  refuses(at.to(f32({-1, 5})), "dimensions must be at least 0");
  refuses(at.to(i32({4, 5})), "[slice_at] the result has the operand's dtype f32, not i32");
  refuses(at.in(1, f32({})), "[slice_at] offset: i32 or i64 is expected, got f32");
  refuses(at.in(1, i32({1})), "[slice_at] offset: 0 dimensions are expected, got shape (1)");
  refuses(at.i(0, 2), "[slice_at] axis 2 is out of range for 2 dimensions");
}

TEST(ShapeRefusals, OneHotAndSorting) {
  const Call one_hot(Op::one_hot, {i64({2})}, {3, static_cast<int64_t>(DType::boolean)});
  gives(one_hot, {boolean({2, 3})});
  gives(one_hot.i(0, 0), {boolean({2, 0})});
  refuses(one_hot.i(0, -1), "[one_hot] at least 0 classes are expected, got -1");
  refuses(one_hot.i(1, kDTypeCount), "[one_hot] 9 is not a dtype");
  refuses(one_hot.in(0, f32({2})), "[one_hot] indices: i32 or i64 is expected, got f32");
  gives(one_hot.in(0, i32({1, 1, 1, 1, 1, 1, 1})), {boolean({1, 1, 1, 1, 1, 1, 1, 3})});
  refuses(one_hot.in(0, i32({1, 1, 1, 1, 1, 1, 1, 1})), "at most 8 dimensions expected, got 9");
  const Call sort(Op::sort, {f32({2, 5})}, {1}), topk(Op::topk, {f32({2, 5})}, {1, 1, 5});
  gives(sort, {f32({2, 5}), i32({2, 5})});
  gives(sort.i(2, 9), {f32({2, 5}), i32({2, 5})});
  refuses(sort.i(0, 2), "[sort] axis 2 is out of range for 2 dimensions");
  gives(topk, {f32({2, 5}), i32({2, 5})});
  gives(topk.i(2, 0), {f32({2, 0}), i32({2, 0})});
  refuses(topk.i(2, -1), "[topk] k must be in 0..5, got -1");
  refuses(topk.i(0, 0), "[topk] k must be in 0..2, got 5");
}

}  // namespace
}  // namespace lazuli::test
