// Fused chains of elementwise ops, with or without a reduction at their end.
#include "backend/cpu/elementwise/chain_loop.h"

namespace lazuli::cpu {

PreparedOp prepare_fused_elementwise(const KernelRequest& request) {
  const ElementwiseProgram& program = *request.program;
  const ChainSource source = chain_source(request, program);
  // Integer arithmetic is exact on the reference backend, and rare in fused programs.
  if (!Chain::supports(source)) return reference_backend().prepare(request);
  return program.reduces ? prepare_chain_reduction(request, program) : prepare_chain_loop(request, source);
}

}  // namespace lazuli::cpu
