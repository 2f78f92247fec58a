#include "backend/cuda/kernels.h"
#include "backend/cuda/replays.h"
#include "backend/table_backend.h"

namespace lazuli {

namespace cuda {

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
