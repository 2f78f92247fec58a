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
  using KeepFn = Tensor (*)(const Tensor& weight, bool in_file);

  /// `schedule` and `keep` null: as the contract has it. `plans` is the runner.
  TableBackend(std::string_view name, const PrepareTable& table, Scheduling (*schedule)() = nullptr, const PlanRunner* plans = nullptr,
               KeepFn keep = nullptr)
      : name_(name), table_(table), scheduling_(schedule), runner_(plans), keep_(keep) {}
  std::string_view name() const override { return name_; }
  Scheduling scheduling() const override { return scheduling_ != nullptr ? scheduling_() : Scheduling{}; }
  const PlanRunner* runner() const override { return runner_; }
  PreparedOp prepare(const KernelRequest& request) const override { return table_[static_cast<size_t>(request.op)](request); }
  Tensor keep_packed(const Tensor& weight, bool in_file) const override { return keep_ != nullptr ? keep_(weight, in_file) : weight; }

 private:
  std::string_view name_;
  PrepareTable table_;
  Scheduling (*scheduling_)();
  const PlanRunner* runner_;
  KeepFn keep_;
};

/// Table entry of leaves and views, which never become kernels: the planner binds or aliases them.
[[noreturn]] inline PreparedOp refuse_to_prepare(const KernelRequest& request) {
  throw GraphError(std::string(name_of(request.op)) + ": a leaf or view has no kernel");
}

}  // namespace lazuli
