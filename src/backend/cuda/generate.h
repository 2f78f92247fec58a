// Declares the generator of kernel texts for elementwise programs, the ones that the cpu backend interprets tile by tile.
#pragma once

#include <string>
#include <vector>

#include "backend/backend.h"

namespace lazuli::cuda {

/// An iteration space with neighbouring axes merged where every operand allows it, and the operands' strides under it.
struct Space {
  std::vector<int64_t> dims;
  std::vector<std::vector<int64_t>> strides;  ///< by operand, then by axis
  int64_t count = 1;                          ///< of elements
  int rank() const { return static_cast<int>(dims.size()); }
};

/// The axes of `shape` that are in `axes` (a bit mask) for operands that broadcast to `shape`.
Space space_of(const Shape& shape, std::span<const OperandSpec> operands, uint64_t axes);

/// A program of one instruction.
ElementwiseProgram program_of(Op op, DType result, size_t operands, const Shape& shape);
/// An empty program, whose only output is its only operand.
ElementwiseProgram identity_program(const Shape& shape);

/// `void element(x0, x1, ..., y0&, ...)`: one element of the program's outputs from one of its operands, all in wide values.
std::string element_function(const ElementwiseProgram& program, std::span<const OperandSpec> inputs);
/// The wide type of values of a dtype: float, double or i64.
std::string_view wide_type(DType dtype);
/// dtype of value number `value`.
DType dtype_of_value(const ElementwiseProgram& program, std::span<const OperandSpec> inputs, uint16_t value);

}  // namespace lazuli::cuda
