#include "backend/reference/kernels.h"
#include "lazuli/error.h"

namespace lazuli {

namespace reference {
namespace {

constexpr PrepareFn kPrepare[] = {
#define LAZULI_OP(name, mi, ma, outs, cls, infer, vjp, kernel) prepare_##kernel,
#include "lazuli/ops.def"
#undef LAZULI_OP
};

class ThisBackend final : public Backend {
 public:
  std::string_view name() const override { return "reference"; }
  PreparedOp prepare(const KernelRequest& request) const override { return kPrepare[static_cast<size_t>(request.op)](request); }
};

}  // namespace

// Leaves and views never become kernels: the planner binds or aliases them.
PreparedOp prepare_leaf(const KernelRequest& request) { throw GraphError(std::string(name_of(request.op)) + ": a leaf has no kernel"); }
PreparedOp prepare_view(const KernelRequest& request) { throw GraphError(std::string(name_of(request.op)) + ": a view has no kernel"); }

}  // namespace reference

const Backend& reference_backend() {
  static const reference::ThisBackend backend;
  return backend;
}

}  // namespace lazuli
