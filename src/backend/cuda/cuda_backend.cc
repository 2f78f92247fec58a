#include "backend/cuda/replays.h"
#include "backend/table_backend.h"

namespace lazuli {

namespace cuda {

// Each kernel file defines the functions of its family.
#define LAZULI_OP(name, mi, ma, outs, cls, traits, infer, vjp, kernel) PreparedOp prepare_##kernel(const KernelRequest& request);
#include "lazuli/ops.def"

namespace {

constexpr PrepareTable kPrepare = {
#define LAZULI_OP(name, mi, ma, outs, cls, traits, infer, vjp, kernel) prepare_##kernel,
#include "lazuli/ops.def"
};

}  // namespace

PreparedOp prepare_leaf(const KernelRequest& request) { refuse_to_prepare(request); }
PreparedOp prepare_view(const KernelRequest& request) { refuse_to_prepare(request); }

}  // namespace cuda

const Backend& cuda_backend() {
  static const TableBackend backend("cuda", cuda::kPrepare, nullptr, &cuda::plan_runner());
  return backend;
}

}  // namespace lazuli
