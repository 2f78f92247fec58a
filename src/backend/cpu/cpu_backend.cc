#include "backend/cpu/kernels.h"
#include "backend/table_backend.h"

namespace lazuli {

namespace cpu {

namespace {

constexpr PrepareTable kPrepare = {
#define LAZULI_OP(name, mi, ma, outs, cls, traits, infer, vjp, kernel) prepare_##kernel,
#include "lazuli/ops.def"
};

}  // namespace

PreparedOp prepare_leaf(const KernelRequest& request) { refuse_to_prepare(request); }
PreparedOp prepare_view(const KernelRequest& request) { refuse_to_prepare(request); }

}  // namespace cpu

const Backend& cpu_backend() {
  static const TableBackend backend("cpu", cpu::kPrepare);
  return backend;
}

}  // namespace lazuli
