#include "backend/cpu/common/tuning.h"
#include "backend/cpu/gemm/packed_weight.h"
#include "backend/table_backend.h"

namespace lazuli {

namespace cpu {

// Each kernel file defines the functions of its family.
#define LAZULI_OP(name, mi, ma, outs, cls, traits, infer, vjp, kernel) PreparedOp prepare_##kernel(const KernelRequest& request);
#include "lazuli/ops.def"

namespace {

constexpr PrepareTable kPrepare = {
#define LAZULI_OP(name, mi, ma, outs, cls, traits, infer, vjp, kernel) prepare_##kernel,
#include "lazuli/ops.def"
};

Scheduling scheduling() {
  Scheduling s;
  s.inline_ns = static_cast<double>(tuning().inline_ns);
  s.threads_ns = static_cast<double>(tuning().threads_ns);
  return s;
}

}  // namespace

PreparedOp prepare_leaf(const KernelRequest& request) { refuse_to_prepare(request); }
PreparedOp prepare_view(const KernelRequest& request) { refuse_to_prepare(request); }

}  // namespace cpu

const Backend& cpu_backend() {
  static const TableBackend backend("cpu", cpu::kPrepare, cpu::scheduling, nullptr, cpu::keep_panels);
  return backend;
}

}  // namespace lazuli
