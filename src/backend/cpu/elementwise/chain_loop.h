// Defines the kernels made of a chain: every element stored, or folded over axes.
#pragma once

#include "backend/cpu/common/common.h"
#include "backend/cpu/elementwise/chain.h"

namespace lazuli::cpu {

/// The chain's source seen in its own shape.
inline ChainSource chain_source(const KernelRequest& request, const ElementwiseProgram& program) {
  ChainSource source{request.inputs, request.outputs, program, program.shape, {}};
  for (const OperandSpec& in : request.inputs) source.strides.push_back(broadcast_strides(in, source.space));
  return source;
}

/// Stores every element. The chain must support the source.
PreparedOp prepare_chain_loop(const KernelRequest& request, const ChainSource& source);

/// Folds the only output as the program says, whose dtypes must be ones that chains support.
PreparedOp prepare_chain_reduction(const KernelRequest& request, const ElementwiseProgram& program);

}  // namespace lazuli::cpu
