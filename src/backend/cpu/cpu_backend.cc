#include "backend/cpu/kernels.h"
#include "lazuli/error.h"

namespace lazuli {

namespace cpu {
namespace {

constexpr PrepareFn kPrepare[] = {
#define LAZULI_OP(name, mi, ma, outs, cls, infer, vjp, kernel) prepare_##kernel,
#include "lazuli/ops.def"
#undef LAZULI_OP
};

class ThisBackend final : public Backend {
 public:
  std::string_view name() const override { return "cpu"; }
  PreparedOp prepare(const KernelRequest& request) const override { return kPrepare[static_cast<size_t>(request.op)](request); }
};

}  // namespace

// Leaves and views never become kernels: the planner binds or aliases them.
PreparedOp prepare_leaf(const KernelRequest& request) { throw GraphError(std::string(name_of(request.op)) + ": a leaf has no kernel"); }
PreparedOp prepare_view(const KernelRequest& request) { throw GraphError(std::string(name_of(request.op)) + ": a view has no kernel"); }

}  // namespace cpu

const Backend& cpu_backend() {
  static const cpu::ThisBackend backend;
  return backend;
}

}  // namespace lazuli
