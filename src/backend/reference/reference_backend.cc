#include "backend/table_backend.h"

namespace lazuli {

namespace reference {

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

}  // namespace reference

const Backend& reference_backend() {
  static const TableBackend backend("reference", reference::kPrepare);
  return backend;
}

}  // namespace lazuli
