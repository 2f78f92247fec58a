#include "backend/cuda/generate.h"

#include <fmt/format.h>

#include "backend/cuda/launch.h"
#include "lazuli/determinism.h"
#include "lazuli/op.h"

namespace lazuli::cuda {

namespace {

/// An operand's stride along an axis of the shape that it broadcasts to.
int64_t stride_under(const OperandSpec& spec, const Shape& shape, int axis) {
  const int own = axis - (shape.rank() - spec.shape.rank());
  return own < 0 || spec.shape[own] == 1 ? 0 : spec.strides[own];
}

/// Whether an axis can be merged into the one before it.
bool continues(const Space& space, const std::vector<int64_t>& strides, int64_t dim) {
  for (size_t k = 0; k < strides.size(); ++k) {
    if (space.strides[k].back() != strides[k] * dim) return false;
  }
  return true;
}

std::string call_of(const ElementwiseProgram::Instruction& step) {
  if (step.op == Op::cast) return fmt::format("op_cast<{}>(v{})", type_name(step.dtype), step.operand[0]);
  std::string call = fmt::format("op_{}(", name_of(step.op));
  for (int k = 0; k < info(step.op).max_inputs; ++k) call += fmt::format("{}v{}", k == 0 ? "" : ", ", step.operand[static_cast<size_t>(k)]);
  return call + ")";
}

/// Whether arithmetic in i64 may leave values that the dtype does not hold.
bool wraps(DType dtype) { return !is_float(dtype) && dtype != DType::i64; }

/// In deterministic runs a fused chain rounds as its steps would alone: what is fused may depend on which sizes are 1.
bool rounds(DType dtype) { return deterministic() && is_float(dtype) && size_of(dtype) == 2; }

}  // namespace

Space space_of(const Shape& shape, std::span<const OperandSpec> operands, uint64_t axes) {
  Space space;
  space.strides.resize(operands.size());
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if ((axes >> axis & 1) == 0 || shape[axis] == 1) continue;
    space.count *= shape[axis];
    std::vector<int64_t> strides;
    for (const OperandSpec& o : operands) strides.push_back(stride_under(o, shape, axis));
    if (!space.dims.empty() && continues(space, strides, shape[axis])) {
      space.dims.back() *= shape[axis];
      for (size_t k = 0; k < strides.size(); ++k) space.strides[k].back() = strides[k];
      continue;
    }
    space.dims.push_back(shape[axis]);
    for (size_t k = 0; k < strides.size(); ++k) space.strides[k].push_back(strides[k]);
  }
  return space;
}

ElementwiseProgram program_of(Op op, DType result, size_t operands, const Shape& shape) {
  ElementwiseProgram program;
  program.inputs = static_cast<uint16_t>(operands);
  program.code.push_back({op, {0, 1, 2}, result});
  program.outputs.push_back(program.inputs);
  program.shape = shape;
  return program;
}

ElementwiseProgram identity_program(const Shape& shape) {
  ElementwiseProgram program;
  program.inputs = 1;
  program.outputs.push_back(0);
  program.shape = shape;
  return program;
}

std::string_view wide_type(DType dtype) { return dtype == DType::f64 ? "double" : is_float(dtype) ? "float" : "i64"; }

DType dtype_of_value(const ElementwiseProgram& program, std::span<const OperandSpec> inputs, uint16_t value) {
  return value < program.inputs ? inputs[value].dtype : program.code[value - program.inputs].dtype;
}

std::string element_function(const ElementwiseProgram& program, std::span<const OperandSpec> inputs) {
  std::string text = "__device__ inline void element(";
  for (uint16_t k = 0; k < program.inputs; ++k) text += fmt::format("{} v{}, ", wide_type(inputs[k].dtype), k);
  for (size_t j = 0; j < program.outputs.size(); ++j) {
    const DType dtype = dtype_of_value(program, inputs, program.outputs[j]);
    text += fmt::format("{}{}& y{}", j == 0 ? "" : ", ", wide_type(dtype), j);
  }
  text += ") {\n";
  for (size_t i = 0; i < program.code.size(); ++i) {
    const ElementwiseProgram::Instruction& step = program.code[i];
    const std::string call = call_of(step);
    const bool narrowed = (wraps(step.dtype) || rounds(step.dtype)) && step.op != Op::cast && step.op != Op::copy && step.op != Op::where;
    text += fmt::format("  const {} v{} = {};\n", wide_type(step.dtype), program.inputs + i,
                        narrowed ? fmt::format("op_cast<{}>({})", type_name(step.dtype), call) : call);
  }
  for (size_t j = 0; j < program.outputs.size(); ++j) text += fmt::format("  y{} = v{};\n", j, program.outputs[j]);
  return text + "}\n";
}

}  // namespace lazuli::cuda
