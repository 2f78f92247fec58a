// Conformance cases of fused_elementwise.
#include "conformance/cases.h"
#include "lazuli/op.h"

namespace lazuli::conformance {

namespace {

using Instruction = ElementwiseProgram::Instruction;

std::shared_ptr<ElementwiseProgram> program(uint16_t inputs, const Shape& shape, std::vector<Instruction> code,
                                            std::vector<uint16_t> outputs) {
  auto p = std::make_shared<ElementwiseProgram>();
  p->inputs = inputs;
  p->shape = shape;
  p->code = std::move(code);
  p->outputs = std::move(outputs);
  return p;
}

/// silu(x * y) + b, with the product as a second result.
std::shared_ptr<ElementwiseProgram> gate(DType t, const Shape& shape) {
  return program(3, shape, {{Op::mul, {0, 1, 0}, t}, {Op::silu, {3, 0, 0}, t}, {Op::add, {4, 2, 0}, t}}, {5, 3});
}

/// where(x < y, exp(x), clip(y, low, high)), all operands given.
std::shared_ptr<ElementwiseProgram> choice(DType t, const Shape& shape) {
  return program(4, shape,
                 {{Op::less, {0, 1, 0}, DType::boolean}, {Op::exp, {0, 0, 0}, t}, {Op::clip, {1, 2, 3}, t}, {Op::where, {4, 5, 6}, t}},
                 {7, 4});
}

Case reduction(DType t, Op op, const Shape& shape, int64_t axes, bool keepdims, Layout layout) {
  auto p = program(2, shape, {{Op::sub, {0, 1, 0}, t}, {Op::square, {2, 0, 0}, t}}, {3});
  p->reduces = true;
  p->reduction = op;
  p->axes = axes;
  p->keepdims = keepdims;
  const std::string what = std::string(lazuli::name_of(t)) + " " + std::string(lazuli::name_of(op)) + to_string(shape) + " axes " +
                           std::to_string(axes) + " " + name_of(layout);
  return {what, {Op::fused_elementwise, {laid_out(random(t, shape, 1), layout), random(t, Shape{shape.back()}, 2)}, {}, {}, p}, {4, 8, 1}};
}

void add_integer_cases(Cases& cases) {
  for (DType t : kIntegers) {
    auto p = program(2, Shape{5, 37}, {{Op::mul, {0, 1, 0}, t}, {Op::add, {2, 0, 0}, t}, {Op::maximum, {3, 1, 0}, t}}, {4});
    cases.push_back({"integers " + std::string(lazuli::name_of(t)),
                     {Op::fused_elementwise, {random(t, {5, 37}, 3, -100, 100), random(t, {37}, 4, -100, 100)}, {}, {}, p},
                     {0, 0, 0}});
  }
}

Cases fused_cases(Op op) {
  Cases cases;
  for (DType t : kFloats) {
    const std::string name(lazuli::name_of(t));
    for (const Shape& shape : {Shape{}, Shape{1031}, Shape{3, 5, 33}, Shape{3, 0}}) {
      const Shape last = shape.rank() > 0 ? Shape{shape.back()} : Shape{};
      cases.push_back({name + " gate " + to_string(shape),
                       {op, {random(t, shape, 1), random(t, shape, 2), random(t, last, 3)}, {}, {}, gate(t, shape)},
                       {}});
      cases.push_back({name + " choice " + to_string(shape),
                       {op, {random(t, shape, 1), random(t, {}, 2), scalar(t, -1), scalar(t, 1)}, {}, {}, choice(t, shape)},
                       {}});
    }
    for (Layout layout : kLayouts) {
      const Shape shape{4, 3, 65};
      cases.push_back({name + " gate " + name_of(layout),
                       {op, {laid_out(random(t, shape, 1), layout), random(t, shape, 2), random(t, {3, 1}, 3)}, {}, {}, gate(t, shape)},
                       {}});
    }
    for (Op fold : {Op::sum, Op::mean, Op::max, Op::min}) {
      for (int64_t axes : {1, 2, 4, 5, 7}) cases.push_back(reduction(t, fold, {5, 7, 33}, axes, axes == 2, Layout::row_major));
      cases.push_back(reduction(t, fold, {5, 7, 33}, 4, true, Layout::column_major));
      cases.push_back(reduction(t, fold, {4099}, 1, false, Layout::row_major));
    }
    // The value passes through another dtype on its way.
    const DType other = t == DType::f32 ? DType::bf16 : DType::f32;
    cases.push_back(
        {name + " cast",
         {op, {random(t, {7, 19}, 5)}, {}, {}, program(1, {7, 19}, {{Op::neg, {0, 0, 0}, t}, {Op::cast, {1, 0, 0}, other}}, {2, 1})},
         {}});
  }
  add_integer_cases(cases);
  return cases;
}
const RegisterCases kFusedCases({Op::fused_elementwise}, fused_cases);

}  // namespace
}  // namespace lazuli::conformance
