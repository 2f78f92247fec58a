// Declares the execution of a plan over memory that the caller supplies.
#pragma once

#include <cstdint>
#include <vector>

#include "plan/plan.h"

namespace lazuli {

/// Bases of one run; arrays are indexed as Plan's counts and buffers say.
struct RunMemory {
  const void* const* inputs = nullptr;
  const uint64_t* scalars = nullptr;
  void* const* outputs = nullptr;
  const bool* donated = nullptr;  ///< by output buffer: its memory came from its donor
};

/// Runs all steps. `team`: waves may use threads (only on an executor's thread). Leases the workspace for the time of the call. Errors name
/// the op, its shapes and where it was recorded.
void execute(const Plan& plan, const RunMemory& memory, bool team);

/// Results of a run as Tensors, given the output buffers and the inputs that are passed through.
Tensor make_result(const ResultView& view, const BufferRef& buffer);
Tensor make_result(const ResultView& view, const Tensor& input);

}  // namespace lazuli
