// Defines Plan: the schedule and memory plan of one graph at given sizes on one device; immutable, without buffers of its own. Also the
// memory of one run of it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "lazuli/graph.h"

namespace lazuli {

/// Where an operand lies: an offset from one of the bases that a run supplies.
enum class Base : uint8_t { none, workspace, constant, input, scalar, output };
struct Location {
  Base base = Base::none;
  int32_t index = 0;   ///< which input, scalar, constant or output buffer
  int64_t offset = 0;  ///< bytes
};

/// Steps of a device that runs whole plans are spread over so many lanes, which may run side by side.
inline constexpr int kLanes = 4;

struct Step {
  PreparedOp prepared;
  int32_t first_pointer = 0;  ///< in Plan::pointers: operands, then results
  int16_t n_inputs = 0;
  int16_t n_outputs = 0;
  int64_t scratch_offset = 0;  ///< in the workspace
  int32_t first_wait = 0;      ///< in Plan::waits: the steps that it follows where a device runs some side by side
  int32_t n_waits = 0;
  int32_t lane = 0;             ///< steps of one lane run one after the other
  int32_t unless_donated = -1;  ///< skipped when that output buffer was donated: it holds the data already
  double cost_ns = 0;           ///< rough, on one thread
  Op op{};
  std::string description;  ///< `[matmul] (2, 3) x (3, 4)` for errors and traces
  Where where;
};

/// Steps that may run at the same time.
struct Wave {
  int32_t first = 0;
  int32_t count = 0;
  double cost_ns = 0;
  bool parallel = false;  ///< worth the threads: more than one task and enough work
};

/// Memory that a run allocates for results; it outlives the run.
struct OutputBuffer {
  size_t bytes = 0;
  int32_t donor = -1;  ///< input whose memory is taken when that input was donated by its only owner
};

/// How result k is seen: a view of an output buffer, or of an input that is passed through.
struct ResultView {
  TensorSpec spec;
  Strides strides;
  int64_t offset = 0;  ///< bytes
  int32_t buffer = -1;
  int32_t input = -1;
};

/// What a backend keeps with a plan: its own class derived from this.
struct PlanState {
  virtual ~PlanState() = default;
};

struct Plan {
  Device device;
  std::vector<Step> steps;
  std::vector<Wave> waves;
  std::vector<Location> pointers;
  std::vector<int32_t> waits;
  std::vector<OutputBuffer> buffers;
  std::vector<ResultView> results;
  std::vector<Tensor> constants;
  int input_count = 0;
  int scalar_count = 0;
  size_t workspace_bytes = 0;
  size_t thread_scratch_bytes = 0;
  size_t output_bytes = 0;
  double cost_ns = 0;
  bool deterministic = false;  ///< made while that was on
  bool run_inline = false;     ///< so short that the caller's thread runs it
  size_t optimised_nodes = 0;
  const PlanRunner* runner = nullptr;  ///< the backend's, where it runs whole plans
  std::shared_ptr<PlanState> state;    ///< the runner's
  std::vector<Where> recorded_at;      ///< of each node but leaves of the captured graph that the plan was first made for

  /// Bytes that a run takes on top of its inputs.
  size_t peak_bytes() const { return workspace_bytes + output_bytes; }
  /// Memory that the plan itself holds (for the cache's bound).
  size_t footprint() const;
};

/// Bases of one run; arrays are indexed as Plan's counts and buffers say.
struct RunMemory {
  const void* const* inputs = nullptr;
  const uint64_t* scalars = nullptr;
  void* const* outputs = nullptr;
  const bool* donated = nullptr;         ///< by output buffer: its memory came from its donor
  std::span<const Where> nodes_at = {};  ///< of the captured graph's nodes: graphs of one structure share a plan, only the run knows where
};

/// Where an operand of a run lies. `scalars`: the run's, where its kernels can read them.
inline void* address_of(const Location& l, const Plan& plan, const RunMemory& memory, std::byte* workspace, const uint64_t* scalars) {
  const auto index = static_cast<size_t>(l.index);
  switch (l.base) {
    case Base::workspace:
      return workspace + l.offset;
    case Base::constant:
      return static_cast<std::byte*>(plan.constants[index].raw()) + l.offset;
    case Base::input:
      return static_cast<std::byte*>(const_cast<void*>(memory.inputs[index])) + l.offset;
    case Base::scalar:
      return const_cast<uint64_t*>(scalars + index);
    case Base::output:
      return static_cast<std::byte*>(memory.outputs[index]) + l.offset;
    case Base::none:
      break;
  }
  return nullptr;
}

inline bool skipped(const Step& step, const bool* donated) {
  return step.unless_donated >= 0 && donated != nullptr && donated[step.unless_donated];
}

/// Of a step, whose operands and results are among `pointers`, the addresses of Plan::pointers.
inline KernelArgs arguments(const Step& step, void** pointers, std::byte* workspace, std::byte* thread_scratch) {
  void** first = pointers + step.first_pointer;
  return {const_cast<const void* const*>(first), first + step.n_inputs, workspace + step.scratch_offset, thread_scratch};
}

/// Rethrows the current exception, one of a step, with the step's name and place added, keeping its type.
[[noreturn]] void rethrow_in(const Step& step, const Plan& plan, std::span<const Where> nodes_at);

/// Runs all tasks of a step on this thread. Errors name the op and where it was recorded.
inline void run_step(const Step& step, const KernelArgs& args, const Plan& plan, const RunMemory& memory) {
  try {
    for (const Kernel& kernel : step.prepared.phases) kernel.run(kernel.state.get(), args, 0, kernel.tasks);
  } catch (...) {
    rethrow_in(step, plan, memory.nodes_at);
  }
}

/// Runs the steps one after the other on this thread. All addresses are ones that it can use: `pointers` those of Plan::pointers,
/// `workspace` where scratch lies, `thread_scratch` Plan::thread_scratch_bytes.
void run_in_turn(const Plan& plan, const RunMemory& memory, void** pointers, std::byte* workspace, std::byte* thread_scratch);

}  // namespace lazuli
