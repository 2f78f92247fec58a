// Defines TableBackend, a backend that is a table with one function for each op.
#pragma once

#include <array>

#include "backend/backend.h"
#include "lazuli/error.h"
#include "lazuli/op.h"

namespace lazuli {

using PrepareTable = std::array<PrepareFn, static_cast<size_t>(kOpCount)>;

class TableBackend final : public Backend {
 public:
  TableBackend(std::string_view name, const PrepareTable& table) : name_(name), table_(table) {}
  std::string_view name() const override { return name_; }
  PreparedOp prepare(const KernelRequest& request) const override { return table_[static_cast<size_t>(request.op)](request); }

 private:
  std::string_view name_;
  PrepareTable table_;
};

/// Table entry of leaves and views, which never become kernels: the planner binds or aliases them.
[[noreturn]] inline PreparedOp refuse_to_prepare(const KernelRequest& request) {
  throw GraphError(std::string(name_of(request.op)) + ": a leaf or view has no kernel");
}

}  // namespace lazuli
