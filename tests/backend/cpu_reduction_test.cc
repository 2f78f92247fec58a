// Checks reductions and fused chains of the cpu backend at sizes where rows are cut into segments and columns into blocks.
#include <gtest/gtest.h>

#include "conformance/data.h"
#include "conformance/harness.h"
#include "lazuli/op.h"

namespace lazuli::conformance {
namespace {

void expect_like_reference(const OpCall& call, const std::string& what) {
  SCOPED_TRACE(what);
  const auto wanted = run(reference_backend(), call);
  const auto results = run(cpu_backend(), call);
  for (size_t j = 0; j < wanted.size(); ++j) EXPECT_EQ(difference(results[j], wanted[j], {4, 8, 1}), "");
  for (const Variant& variant : {Variant{3}, Variant{1 << 20}, Variant{2, true}}) {
    const auto again = run(cpu_backend(), call, variant);
    for (size_t j = 0; j < results.size(); ++j) EXPECT_TRUE(identical(again[j], results[j])) << "in " << variant.chunks << " chunks";
  }
}

OpCall reduction(Op op, const Tensor& x, int64_t axes) {
  OpCall call{op, {x}};
  call.attrs.i[0] = axes;
  return call;
}

TEST(CpuReduction, LargeRowsAndColumns) {
  const std::pair<Shape, int64_t> cases[] = {
      {{100003}, 1},  {{3, 40000}, 2},   {{40000, 3}, 1},   {{700, 1500}, 1},
      {{5, 3000}, 1}, {{60, 40, 30}, 5}, {{4, 500, 36}, 2}, {{2, 33, 2050}, 3},
  };
  for (const auto& [shape, axes] : cases) {
    for (Op op : {Op::sum, Op::mean, Op::max, Op::min}) {
      expect_like_reference(reduction(op, random(DType::f32, shape, 5, 0.1, 3), axes),
                            std::string(lazuli::name_of(op)) + to_string(shape) + " axes " + std::to_string(axes));
    }
  }
  expect_like_reference(reduction(Op::sum, random(DType::bf16, {90000}, 6, 0.1, 3), 1), "bf16");
  expect_like_reference(reduction(Op::logsumexp, random(DType::f32, {2, 5000}, 7, -9, 9), 2), "logsumexp");
  expect_like_reference(reduction(Op::var, random(DType::f32, {5000, 2}, 8, 100, 101), 1), "var");
  expect_like_reference(reduction(Op::argmax, random(DType::f32, {3, 5000}, 9), 2), "argmax");
}

/// relu(x * y + z) + x as a program.
std::shared_ptr<ElementwiseProgram> program(const Shape& shape) {
  auto p = std::make_shared<ElementwiseProgram>();
  p->inputs = 3;
  p->shape = shape;
  p->code = {{Op::mul, {0, 1, 0}, DType::f32},
             {Op::add, {3, 2, 0}, DType::f32},
             {Op::relu, {4, 0, 0}, DType::f32},
             {Op::add, {5, 0, 0}, DType::f32}};
  p->outputs = {6};
  return p;
}

TEST(CpuChain, BroadcastOperandsOfEveryKind) {
  const Shape shape{6, 10, 300};
  const Tensor x = random(DType::f32, shape, 1, 0.1, 2);
  for (const Shape& y : {Shape{}, Shape{300}, Shape{10, 1}, Shape{6, 1, 300}, Shape{6, 1, 1}, Shape{1, 10, 300}}) {
    for (const Shape& z : {Shape{}, Shape{1, 1, 300}, Shape{10, 300}, Shape{6, 10, 1}}) {
      OpCall call{Op::fused_elementwise, {x, random(DType::f32, y, 2, 0.1, 2), random(DType::f32, z, 3, 0.1, 2)}, {}, {}, program(shape)};
      const std::string what = to_string(y) + " " + to_string(z);
      expect_like_reference(call, what);
      for (int64_t axes : {1, 2, 4, 3, 6, 5, 7}) {
        auto p = program(shape);
        p->reduces = true;
        p->reduction = axes == 3 ? Op::max : Op::mean;
        p->axes = axes;
        call.program = p;
        expect_like_reference(call, what + " axes " + std::to_string(axes));
      }
    }
  }
}

TEST(CpuChain, TransposedOperands) {
  const Shape shape{70, 90};
  const Tensor x = laid_out(random(DType::f32, shape, 1), Layout::column_major),
               y = laid_out(random(DType::bf16, shape, 2), Layout::column_major);
  auto p = program(shape);
  p->code.insert(p->code.begin(), {Op::cast, {1, 0, 0}, DType::f32});
  p->code[1] = {Op::mul, {0, 3, 0}, DType::f32};
  p->code[2].operand[0] = 4;
  p->code[3].operand[0] = 5;
  p->code[4].operand[0] = 6;
  p->outputs = {7};
  expect_like_reference({Op::fused_elementwise, {x, y, random(DType::f32, {90}, 3)}, {}, {}, p}, "transposed");
}

TEST(CpuChain, ResultsThatAreOperandsNumbersAndSharedValues) {
  auto p = std::make_shared<ElementwiseProgram>();
  p->inputs = 3;
  p->shape = Shape{2000};
  // v3 = s * t of two numbers, v4 = x + v3, v5 = v4 * v4, v6 = v5 as bf16
  p->code = {{Op::mul, {1, 2, 0}, DType::f32},
             {Op::add, {0, 3, 0}, DType::f32},
             {Op::mul, {4, 4, 0}, DType::f32},
             {Op::cast, {5, 0, 0}, DType::bf16}};
  p->outputs = {3, 5, 0, 6, 4, 5, 1};
  expect_like_reference(
      {Op::fused_elementwise, {random(DType::f32, {2000}, 1), scalar(DType::f32, 1.5), scalar(DType::f32, -0.25)}, {}, {}, p}, "shared");
}

}  // namespace
}  // namespace lazuli::conformance
